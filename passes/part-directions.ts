/**
 * part-directions: makes two recurrent layers of one with two directions, where other units are dead
 * in each.
 *
 *   LSTM, bidirectional -> Y [S, 2, B, H] -> Transpose -> Reshape [S, B, 2 * H]      =>
 *
 *   LSTM, forward -> Squeeze [S, B, H] -----> Concat [S, B, 2 * H]
 *   LSTM, reverse -> Squeeze [S, B, H] --/
 *
 * Exact? Bitwise: the directions do not know of each other. Declines where the last states are read,
 * where Y goes elsewhere, where an operand of the directions is computed, and where the same units
 * are dead in both: one layer loses those. Cost: none; the Concat copies what the Transpose did.
 */
import type { AnalyzedNode } from '../src/channels/analyzed-node.js';
import type { Facts } from '../src/channels/facts.js';
import { ExtentKeys } from '../src/graph-info/extent-keys.js';
import type { Editor } from '../src/ir/editor.js';
import type { AttributeValue, Node, Value } from '../src/ir/graph.js';
import { sliceTensor } from '../src/ir/slice.js';
import { INT64, Tensor } from '../src/ir/tensor.js';
import { unitsWithoutInput } from '../src/ops/recurrent.js';
import { type Pass, UNCHANGED } from './pass.js';

const RECURRENT = new Set(['LSTM', 'GRU', 'RNN']);
const DIRECTIONS = ['forward', 'reverse'] as const;
/** Inputs that both directions share: X and the lengths. */
const SHARED = new Set([0, 4]);
const SIDE_BY_SIDE = [0, 2, 1, 3];
/** Squeeze has its axes as an input from here on. */
const AXES_AS_INPUT = 13;

interface Layer {
  readonly at: AnalyzedNode;
  /** [S, B, 2 * H]. */
  readonly merged: Value;
}

export const partDirections: Pass = {
  name: 'part-directions',
  summary: 'make two recurrent layers of one whose directions have other dead units',
  exactness: 'bitwise',
  async run({ editor, graphInfo, facts: analyzed }) {
    const known = await graphInfo();
    const isTwoWay = (node: Node) => node.string('direction', 'forward') === 'bidirectional';
    if (!known.graph.nodes.some((node) => isRecurrent(node) && isTwoWay(node))) return UNCHANGED;
    const facts = await analyzed();
    const keys = new ExtentKeys(known);
    const layers = facts.nodes
      .filter(({ node }) => isRecurrent(node) && isTwoWay(node))
      .flatMap((at) => layerAt(at, facts, keys) ?? [])
      .filter((layer) => hasUnequalDirections(layer, facts));
    if (layers.length === 0) return UNCHANGED;
    const changed = editor.transaction('part directions', () => {
      for (const layer of layers) part(editor, layer);
    });
    const remarks = layers.map(({ at }) => ({
      kind: 'applied' as const,
      node: at.node.label,
      message: 'its two directions are layers of their own: other units are dead in each',
    }));
    return { changed, gains: false, remarks };
  },
};

function isRecurrent({ opType, domain }: Node): boolean {
  return RECURRENT.has(opType) && domain === '';
}

function layerAt(at: AnalyzedNode, { graphInfo: { constants } }: Facts, keys: ExtentKeys): Layer | undefined {
  const { node, relation } = at;
  const [y, ...states] = node.outputs;
  // Its row declines what it does not follow.
  if (relation === undefined || y === undefined || states.some((state) => isRead(state))) return undefined;
  const operands = node.inputs.filter((value, index) => value !== undefined && !SHARED.has(index));
  if (operands.some((value) => constants.tensor(value)?.dims[0] !== DIRECTIONS.length)) return undefined;
  const turned = soleReader(y, 'Transpose');
  const merged = turned?.outputs[0] && soleReader(turned.outputs[0], 'Reshape')?.outputs[0];
  if (merged === undefined || turned?.ints('perm')?.join() !== SIDE_BY_SIDE.join()) return undefined;
  const [extents, hidden] = [keys.extents(merged), keys.extents(y)?.[3]];
  const isSideBySide =
    extents?.length === 3 &&
    typeof hidden === 'number' &&
    extents[2] === DIRECTIONS.length * hidden &&
    keys.key(merged, 0) === keys.key(y, 0) &&
    keys.key(merged, 1) === keys.key(y, 2);
  return isSideBySide ? { at, merged } : undefined;
}

function isRead(value: Value | undefined): boolean {
  return value !== undefined && (value.uses.length > 0 || value.isSeenOutside);
}

function soleReader(value: Value, opType: string): Node | undefined {
  const [use] = value.uses;
  const isPlain = use?.index === 0 && use.node.opType === opType && use.node.domain === '';
  return isPlain && value.hasSingleUse ? use.node : undefined;
}

/** Whether any unit takes in nothing, or is read by nobody, in one direction alone. */
function hasUnequalDirections({ at, merged }: Layer, { positions, needed }: Facts): boolean {
  const [forward = [], reverse = []] = unitsWithoutInput(at.site);
  const features = positions.axesOf(merged)[2];
  const hidden = at.site.constant(2)?.dims[2] ?? 0;
  const isDead = (units: readonly number[], start: number, unit: number) =>
    units.includes(unit) || (features !== undefined && needed[features.base + start + unit] === 0);
  return Array.from({ length: hidden }, (_, unit) => unit).some(
    (unit) => isDead(forward, 0, unit) !== isDead(reverse, hidden, unit),
  );
}

function part(editor: Editor, { at: { node, site }, merged }: Layer): void {
  const { graph } = editor;
  const anchor = merged.producer;
  const sides = DIRECTIONS.map((direction, which) => {
    const inputs = node.inputs.map((value, index) => {
      const tensor = SHARED.has(index) || value === undefined ? undefined : site.constant(index);
      if (value === undefined || tensor === undefined) return value;
      return editor.addInitializer(`${value.name}_${direction}`, sliceTensor(tensor, [[which]]));
    });
    const { outputs } = editor.addNode(
      {
        opType: node.opType,
        name: graph.freshNodeName(`${node.label}_${direction}`),
        inputs,
        outputs: [`${merged.name}_${direction}_steps`],
        attributes: attributesOf(node, direction, which),
      },
      anchor,
    );
    const isInput = graph.opset >= AXES_AS_INPUT;
    const axes = isInput ? [editor.addInitializer('direction_axis', Tensor.fromNumbers(INT64, [1], [1]))] : [];
    const squeezed = editor.addNode(
      {
        opType: 'Squeeze',
        name: graph.freshNodeName(`${node.label}_${direction}_squeezed`),
        inputs: [...outputs, ...axes],
        outputs: [`${merged.name}_${direction}`],
        ...(!isInput && { attributes: { axes: { kind: 'ints', value: [1] } } }),
      },
      anchor,
    );
    return squeezed.outputs[0];
  });
  const [made] = editor.addNode(
    {
      opType: 'Concat',
      name: graph.freshNodeName(`${node.label}_side_by_side`),
      inputs: sides,
      outputs: [`${merged.name}_side_by_side`],
      attributes: { axis: { kind: 'int', value: 2 } },
    },
    anchor,
  ).outputs;
  if (made !== undefined) editor.swapProducers(merged, made);
}

/** Those of one direction, of a layer that its row follows; activations are listed for both. */
function attributesOf(node: Node, direction: string, which: number): Readonly<Record<string, AttributeValue>> {
  const [hidden, reset] = [node.int('hidden_size', 0), node.int('linear_before_reset', 0)];
  const names = node.strings('activations');
  const half = (names?.length ?? 0) / DIRECTIONS.length;
  return {
    hidden_size: { kind: 'int', value: hidden },
    direction: { kind: 'string', value: direction },
    ...(reset !== 0 && { linear_before_reset: { kind: 'int', value: reset } }),
    ...(names && { activations: { kind: 'strings', value: names.slice(which * half, (which + 1) * half) } }),
  };
}
