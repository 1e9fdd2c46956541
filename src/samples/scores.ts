/** Which class a row of scores stands for. */

type Scores = Float32Array | Float64Array;

/** The place of the largest score, the first of equal ones; -1 where all are NaN. */
export function largest(scores: Scores): number {
  let best = -1;
  for (let at = 0; at < scores.length; at++) {
    const score = scores[at] ?? Number.NaN;
    if (!Number.isNaN(score) && (best < 0 || score > (scores[best] ?? 0))) best = at;
  }
  return best;
}

/** Whether a class is among the `count` largest scores, of equal ones the first. NaN is the least. */
export function isAmong(scores: Scores, label: number, count: number): boolean {
  const own = scores[label];
  if (own === undefined || Number.isNaN(own)) return false;
  let before = 0;
  for (let at = 0; at < scores.length; at++) {
    const score = scores[at] ?? Number.NaN;
    if (score > own || (score === own && at < label)) before++;
  }
  return before < count;
}
