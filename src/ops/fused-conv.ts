/**
 * Convolutions that ONNX Runtime's optimiser joined with what follows them: com.microsoft FusedConv,
 * Y = activation(Conv(X, W, B) + Z).
 */
import type { Relation } from './axes.js';
import { convolution } from './conv.js';
import { MICROSOFT } from './domains.js';
import type { LayerOperands, Operator } from './operator.js';
import type { Site } from './site.js';

const SUM = 3;

/**
 * What follows without arithmetic; undefined where only the kernel could tell. Clip's bounds are the
 * parameters.
 */
function activationOf({ node }: Site): ((sum: number) => number | undefined) | undefined {
  const [low = Number.NaN, high = Number.NaN] = node.floats('activation_params') ?? [];
  switch (node.string('activation', '')) {
    case '':
      return (sum) => sum;
    case 'Relu':
      return (sum) => Math.max(0, sum);
    case 'Clip':
      return Number.isNaN(low + high) ? undefined : (sum) => Math.min(high, Math.max(low, sum));
    case 'LeakyRelu':
      return (sum) => (sum >= 0 ? sum : undefined);
    case 'Tanh':
      return (sum) => (sum === 0 ? 0 : undefined);
    default:
      return () => undefined;
  }
}

/**
 * Constants go into the bias, which comes before the activation; a map of the place would come
 * after it. Where a sum is joined as well, nothing is followed.
 */
function axes(site: Site): Relation | undefined {
  const activation = activationOf(site);
  const relation = site.node.inputs[SUM] === undefined ? convolution.axes?.(site) : undefined;
  if (activation === undefined || (relation?.kind !== 'linear' && relation?.kind !== 'grouped')) return undefined;
  const { hasWindow: _, ...others } = relation;
  return { ...others, needsCarrier: true, activation };
}

function weights(site: Site): LayerOperands | undefined {
  const operands = convolution.weights?.(site);
  return operands && { ...operands, isJoined: true };
}

export const fusedConvolutions: readonly Operator[] = [
  { ...convolution, type: 'FusedConv', domain: MICROSOFT, axes, weights },
];
