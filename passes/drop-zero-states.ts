/**
 * drop-zero-states: leaves out initial states of recurrent layers that are zeros.
 *
 *   x -> Shape -> Gather -> Concat(1, ·, 12) -> ConstantOfShape -> LSTM(initial_h)     =>     LSTM()
 *
 * Exact? Bitwise: a state that is not given is zeros. Declines where zeros are not all that the value
 * can be. Cost: none; what computed the zeros is dead. It lets hidden units go that the computed
 * shape counts.
 */
import type { GraphInfo } from '../src/graph-info/graph-info.js';
import type { Node, Use, Value } from '../src/ir/graph.js';
import { type Pass, UNCHANGED } from './pass.js';

const RECURRENT = new Set(['LSTM', 'GRU', 'RNN']);
/** initial_h and initial_c. */
const STATES = [5, 6];
/** Operators whose result holds elements of their first operand, and no others. */
const COPIES = new Set(['Identity', 'Expand', 'Slice', 'Squeeze', 'Unsqueeze', 'Reshape', 'Transpose', 'Tile']);

export const dropZeroStates: Pass = {
  name: 'drop-zero-states',
  summary: 'leave out initial states of recurrent layers that are zeros',
  exactness: 'bitwise',
  async run({ editor, graphInfo }) {
    const { graph, constants } = await graphInfo();
    const recurrent = graph.nodes.filter(({ opType, domain }) => RECURRENT.has(opType) && domain === '');
    const zeros = recurrent.flatMap((node): Use[] =>
      STATES.flatMap((index) => (isZeros(node.inputs[index], constants) ? [{ node, index }] : [])),
    );
    if (zeros.length === 0) return UNCHANGED;
    const changed = editor.transaction('drop zero states', () => {
      for (const { node, index } of zeros) editor.setInput(node, index, undefined);
    });
    const message = `left out ${zeros.length} initial states that are zeros`;
    return { changed, gains: false, remarks: [{ kind: 'applied', message }] };
  },
};

function isZeros(value: Value | undefined, constants: GraphInfo['constants']): boolean {
  if (value === undefined) return false;
  const tensor = constants.tensor(value);
  if (tensor !== undefined) return tensor.numbers().every((element) => element === 0);
  const { producer } = value;
  if (producer === undefined || producer.domain !== '') return false;
  if (producer.opType === 'ConstantOfShape') return fillOf(producer) === 0;
  return COPIES.has(producer.opType) && isZeros(producer.inputs[0], constants);
}

/** A float 0 where none is given; undefined where it cannot be read. */
function fillOf(node: Node): number | undefined {
  return node.attributes.has('value') ? node.tensor('value')?.numbers()[0] : 0;
}
