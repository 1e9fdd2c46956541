/** Where two models part, for a terminal. */
import { shown } from '../printable.js';
import type { Trace, TracedValue } from '../verify/trace.js';
import type { Verification } from '../verify/verification.js';
import { formatDifference, formatInteger, formatShapes } from './numbers.js';
import { wrapText } from './text.js';

const WIDTH = 80;
/** One wrong layer is one value; more of them are listed up to here. */
const MOST = 5;

/** Undefined where there was nothing to trace. */
export function renderTrace(given: Trace | undefined, verification: Verification): string {
  if (given === undefined) {
    const why = verification.equal ? 'the outputs are equal' : 'the second model does not run';
    return `nothing to trace: ${why}\n`;
  }
  const trace = shown(given);
  return `\n${traceLines(trace).join('\n')}\n`;
}

function traceLines(trace: Trace): string[] {
  const { parts, compared, of, differing, shapes, seed } = trace;
  const where = `at ${formatShapes(shapes)}, seed ${seed}`;
  const counts = `${formatInteger(compared)} of ${formatInteger(of)} values are in both models, ${formatInteger(differing)} of them differ`;
  if (parts.length === 0) {
    const why =
      compared === 0
        ? 'no value has one name in both models'
        : 'no value that leads to a differing output differs by more than rounding';
    return [...wrapText(`the place cannot be told: ${why}`, WIDTH), ...wrapText(`${counts} (${where})`, WIDTH, '  ')];
  }
  const more = parts.length > MOST ? [`  and ${formatInteger(parts.length - MOST)} more`] : [];
  const lines = parts.slice(0, MOST).flatMap(valueLines);
  return ['the models part at', ...lines, ...more, ...wrapText(`${counts} (${where})`, WIDTH, '  ')];
}

/** Names are not broken, so that they can be copied. */
function valueLines({ name, op, node, difference, bound, narrowed, reason }: TracedValue): string[] {
  const size = `${formatDifference(difference)} of its scale, ${formatDifference(bound)} was allowed`;
  const why = reason === undefined ? size : `${reason}; ${size}`;
  const cut =
    narrowed === undefined
      ? ''
      : `; ${formatInteger(narrowed.to)} of ${formatInteger(narrowed.from)} along axis ${narrowed.axis}`;
  return [
    `  ${name}`,
    `    made by ${op} ${node}`,
    ...wrapText(`    differs by ${why}${cut}`, WIDTH, '      ').map((line) => `    ${line.trimStart()}`),
  ];
}
