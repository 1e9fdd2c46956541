/** What was not looked at, in words. */
import { formatPlural, formatShare } from './numbers.js';
import type { UnreadWeights } from '../figures/unread-weights.js';

/** `not searched for zeros: 1 weight of MatMulInteger (uint8), 12 % at its zero point` */
export function unreadText(unread: readonly UnreadWeights[]): string {
  return `not searched for zeros: ${unread.map(oneText).join('; ')}`;
}

function oneText({ op, dataType, weights, elements, zeros }: UnreadWeights): string {
  const what = `${formatPlural(weights, 'weight')} of ${op} (${dataType})`;
  if (zeros === undefined) return what;
  const isFloating = /float/.test(dataType);
  return `${what}, ${formatShare(zeros / Math.max(elements, 1))} ${isFloating ? 'zero' : weights === 1 ? 'at its zero point' : 'at their zero points'}`;
}
