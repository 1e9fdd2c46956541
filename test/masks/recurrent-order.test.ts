/** LSTM, GRU and RNN exported without constant folding: the graph puts the gates in order. */
import { describe, expect, test } from 'vitest';
import { graphBuilder, int64 } from '../../fixtures/networks/graph-builder.js';
import { bind, mask, pruned, slotsOf, tensor, values } from './bound-masks.js';

const HIDDEN = 2;
const INPUT = 3;
/** Place of each of PyTorch's gates among ONNX's: i f g o in i o f c, r z n in z r h. */
const PLACES = { LSTM: [0, 2, 3, 1], GRU: [1, 0, 2], RNN: [0] } as const;
type Kind = keyof typeof PLACES;

function parameters(kind: Kind, name: string) {
  const rows = PLACES[kind].length * HIDDEN;
  return {
    weight_ih: [...values(`${name}ih`, rows * INPUT)],
    weight_hh: [...values(`${name}hh`, rows * HIDDEN)],
    bias_ih: [...values(`${name}bi`, rows)],
    bias_hh: [...values(`${name}bh`, rows)],
  };
}

/**
 * As exporters leave it without folding: the graph puts the gates of each direction in order. The
 * weights are square where hidden and input size are.
 */
function ordered(kind: Kind, names: (suffix: string) => Record<string, string>) {
  const g = graphBuilder();
  const rows = PLACES[kind].length * HIDDEN;
  const inOrder = (name: string) => {
    const parts = PLACES[kind].map((_, place) => {
      const gate = (PLACES[kind] as readonly number[]).indexOf(place);
      const [from, to] = [int64([gate * HIDDEN]), int64([(gate + 1) * HIDDEN])];
      return g.op('Slice', [name, from, to, int64([0])], {}, { name: `/rnn/Slice_${name}_${place}` });
    });
    return parts.length === 1 ? (parts[0] ?? '') : g.op('Concat', parts, { axis: 0 });
  };
  const lifted = (value: string) => g.op('Unsqueeze', [value, int64([0])]);
  const each = ['', '_reverse'].map((suffix) => {
    const { weight_ih, weight_hh, bias_ih, bias_hh } = parameters(kind, `${kind}${suffix}`);
    const called = names(suffix);
    const w = g.initializer(called['weight_ih'] ?? '', [rows, INPUT], weight_ih);
    const r = g.initializer(called['weight_hh'] ?? '', [rows, HIDDEN], weight_hh);
    const b = g.initializer(called['bias_ih'] ?? '', [rows], bias_ih);
    const c = g.initializer(called['bias_hh'] ?? '', [rows], bias_hh);
    return [inOrder(w), inOrder(r), g.op('Concat', [inOrder(b), inOrder(c)], { axis: 0 })].map(lifted);
  });
  const operands = [0, 1, 2].map((at) =>
    g.op(
      'Concat',
      each.map((parts) => parts[at] ?? ''),
      { axis: 0 },
    ),
  );
  const attributes = { hidden_size: HIDDEN, direction: 'bidirectional' };
  const x = g.input('x', [5, 1, INPUT]);
  g.output(g.op(kind, [x, ...operands], attributes, { name: `/rnn/${kind}` }));
  return slotsOf(g);
}

describe.each<Kind>(['LSTM', 'GRU', 'RNN'])('%s whose gates the graph puts in order', (kind) => {
  const PARTS = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'] as const;
  const rows = PLACES[kind].length * HIDDEN;

  test.each([
    ['its own names', (suffix: string) => Object.fromEntries(PARTS.map((of) => [of, `rnn.${of}_l0${suffix}`]))],
    ['other names', (suffix: string) => Object.fromEntries(PARTS.map((of) => [of, `onnx::${of}${suffix}`]))],
  ])('the mask goes into the parameter, stored under %s', async (_, names) => {
    const slots = await ordered(kind, names);
    const reverse = names('_reverse');
    const masks = {
      'rnn.weight_hh_l0_reverse_mask': mask([rows, HIDDEN], [1, 2]),
      'rnn.bias_hh_l0_reverse_mask': mask([rows], [1]),
    };
    expect(pruned(bind(slots, masks))).toEqual({
      [reverse['weight_hh'] ?? '']: [1, 2],
      [reverse['bias_hh'] ?? '']: [1],
    });
    const { weight_ih } = parameters(kind, `${kind}_reverse`);
    const zeros = {
      'rnn.weight_ih_l0_reverse': tensor(
        [rows, INPUT],
        weight_ih.map((value, at) => (at === 4 ? 0 : value)),
      ),
    };
    expect(pruned(bind(slots, zeros))).toEqual({ [reverse['weight_ih'] ?? '']: [4] });
  });
});
