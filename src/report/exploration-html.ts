/** An exploration as one page: from where on it pays, as a picture, and what stands behind it. */
import type { Exploration } from '../exploration/exploration.js';
import { shown } from '../printable.js';
import type { Figure } from './charts/figures.js';
import { chartSpec, COLORS, type Series, SHAPES } from './charts/payoff.js';
import { drawn } from './charts/svg.js';
import {
  explorationHeadline,
  explorationNotes,
  type ExplorationView,
  fastestTexts,
  int8Text,
  payoffText,
  pointCells,
  pointHeads,
  repeatCommands,
  seriesName,
} from './exploration.js';
import { figuresSection, originSection, page } from './html-page.js';
import { type Head, html, NOTHING, table } from './html-template.js';
import { asSentence } from './summary.js';

export async function renderExplorationHtml(given: Exploration, view: ExplorationView): Promise<string> {
  const found = shown(given);
  const int8 = int8Text(found.int8);
  const texts = [
    ...found.conclusions.payoffs.map((payoff) => payoffText(payoff, found)),
    ...(int8 === undefined ? [] : [int8]),
    ...fastestTexts(found),
  ];
  const heads = pointHeads(found).map(({ head, isText }): Head => (isText ? head : { number: head }));
  const next = repeatCommands(found, view.model);
  return page({
    heading: explorationHeadline(found),
    isBad: found.points.some(({ equal }) => equal === false),
    title: `${found.model.name}: which pruning pays on this machine, and from where on`,
    tool: found.tool,
    body: html`${originSection({ ...found, command: view.command })}${figuresSection(await figures(found))}
      <ul>
        ${texts.map((text) => html`<li>${asSentence(text)}</li> `)}
      </ul>
      <h2>All points</h2>
      ${table(
        heads,
        found.points.map((point) => pointCells(point, found)),
      )}
      ${explorationNotes(found, view.missing).map((note) => html`<p>${asSentence(note)}</p> `)}
      ${
        next.length === 0
          ? NOTHING
          : html`<h2>To have the first point that pays</h2>
              ${next.map((line) => html`<p><code class="wrap">${line}</code></p> `)}`
      }`,
  });
}

async function figures(found: Exploration): Promise<Figure[]> {
  const { payoffs } = found.conclusions;
  const series = payoffs.map((payoff, at): Series => {
    const own = found.points.filter(
      ({ granularity, criterion }) => granularity === payoff.granularity && criterion === payoff.criterion,
    );
    return {
      name: seriesName(payoff, found),
      color: COLORS[at % COLORS.length] ?? 'bar',
      shape: SHAPES[at % SHAPES.length] ?? 'circle',
      points: own.flatMap(({ ratio, timing }) =>
        timing === undefined
          ? []
          : [{ x: 100 * ratio, y: timing.speedup, low: timing.interval[0], high: timing.interval[1] }],
      ),
    };
  });
  if (series.length === 0) return [];
  const legend = series.map(({ color, name }) => ({ color, text: name }));
  const { int8 } = found;
  const rules = [
    { y: 1, label: 'dense', side: 'right' } as const,
    ...(int8 !== undefined && 'timing' in int8
      ? [{ y: int8.timing.speedup, label: 'dense int8', side: 'left' } as const]
      : []),
  ];
  const speed: Figure = {
    title: 'Speed-up over the share that was pruned, in percent',
    caption: 'Against the dense model, in the same interleaved rounds. Bars are 95 % intervals.',
    legend,
    drawing: await drawn(chartSpec({ series, rules, formats: { x: '~r', y: '~r' }, isJoined: true, front: [] })),
  };
  const both = await accuracyFigure(found, series, legend);
  return both === undefined ? [speed] : [speed, both];
}

async function accuracyFigure(
  found: Exploration,
  series: readonly Series[],
  legend: Figure['legend'],
): Promise<Figure | undefined> {
  const { conclusions, dense, points } = found;
  if (conclusions.front.length === 0) return undefined;
  const placed = conclusions.payoffs.flatMap((payoff, at): Series[] => {
    const known = series[at];
    const own = points.filter(
      ({ granularity, criterion }) => granularity === payoff.granularity && criterion === payoff.criterion,
    );
    const dots = own.flatMap(({ timing, accuracy }) =>
      timing === undefined || accuracy === undefined
        ? []
        : [{ x: timing.speedup, y: accuracy, low: accuracy, high: accuracy }],
    );
    return known === undefined ? [] : [{ ...known, points: dots }];
  });
  const rules = dense?.accuracy === undefined ? [] : [{ y: dense.accuracy, label: 'dense', side: 'right' } as const];
  const front = conclusions.front.map(({ speedup, accuracy }) => ({ x: speedup, y: accuracy }));
  return {
    title: 'Accuracy over speed-up',
    caption:
      'The line goes through the models that no other beats in both (Pareto front). None was trained after pruning.',
    legend,
    drawing: await drawn(chartSpec({ series: placed, rules, formats: { x: '~r', y: '~r' }, isJoined: false, front })),
  };
}
