/** A constant that holds elements of a masked parameter, and would keep them. */
import { PruneCompileError } from '../errors.js';
import type { Use } from '../ir/graph.js';
import type { MaskedParameter, OpenConstant } from './masked-parameter.js';

/** What is between the two. */
export type Difference = 'part' | 'outside' | 'scaled' | 'order' | 'stranger';

const REASONS: Readonly<Record<Difference, string>> = {
  part: 'it holds elements of the parameter that the mask prunes: a part of it, or its elements in another order',
  outside: 'it is the parameter, and the model outputs it or a subgraph reads it by name: no mask can be put there',
  scaled: 'it is the parameter times factors that may have been computed from it, and then the mask changes them',
  stranger: 'it holds the elements of the parameter in another module, where it may be tied or a parameter of its own',
  order: 'it is the parameter, but nothing tells in which order of the axes, or which of several masks is for it',
};

export function lostInCopy(
  { value, weight }: MaskedParameter,
  constant: OpenConstant,
  readers: readonly Use[],
  difference: Difference,
): PruneCompileError {
  const [{ claim }] = weight.bindings;
  const { name } = constant.value;
  return new PruneCompileError('E-MASK-LOST', {
    what: `the mask ${claim.key} of ${claim.file} is for ${value.name}, and would be lost in the constant ${name}`,
    facts: [
      ['constant', `${name} [${constant.tensor.dims.join(', ')}]${readerText(readers)}`],
      ['why', REASONS[difference]],
      [
        'try',
        'write the zeros into the weights before the export (in PyTorch prune.remove) and compile without masks; if the constant is a parameter of its own, pass the whole state dict, or a mask of ones for it',
      ],
    ],
  });
}

function readerText(readers: readonly Use[]): string {
  const nodes = [...new Set(readers.map(({ node }) => node))];
  return nodes.length === 0 ? '' : `, read by ${nodes.map(({ label, opType }) => `${label} (${opType})`).join(', ')}`;
}
