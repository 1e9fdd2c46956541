/**
 * The error function in double precision. Maclaurin series up to 3, where it still loses less than
 * four digits of sixteen to cancellation; beyond, the continued fraction of erfc (Abramowitz and
 * Stegun, 7.1.5 and 7.1.14).
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  const size = Math.abs(x);
  return Math.sign(x) * (size < 3 ? series(size) : 1 - upperTail(size));
}

function series(x: number): number {
  let power = x;
  let sum = x;
  for (let n = 1; Math.abs(power) > 1e-17 * Math.abs(sum); n++) {
    power *= (-x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/**
 * erfc(x) = exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + (2/2) / (x + (3/2) / …))); 40 levels are
 * enough from 3 on.
 */
function upperTail(x: number): number {
  let fraction = x;
  for (let level = 40; level >= 1; level--) fraction = x + level / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}
