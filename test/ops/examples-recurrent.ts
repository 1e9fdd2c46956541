/** Recurrent layers, over the places of an image; unit 2 begins with 0 and stays so. */
import type { GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';

const UNITS = 3;
const INPUTS = 4;
const STAYS = 2;

function layer(type: string, gates: number, attributes: Parameters<GraphBuilder['op']>[2] = {}) {
  return (g: GraphBuilder, x: string): string => {
    const directions = attributes.direction === 'bidirectional' ? 2 : 1;
    const operand = (name: string, rows: number, columns: number, dims: readonly number[]) => ({
      data: normals(7, name, directions * rows * columns, 0.5).map((value, at) =>
        Math.floor(at / columns) % UNITS === STAYS ? 0 : value,
      ),
      dims: [directions, ...dims],
    });
    const rows = gates * UNITS;
    // [places, batch, channels]
    const steps = g.reshape(g.transpose(x, [2, 3, 0, 1]), [-1, 2, INPUTS]);
    return g.op(
      type,
      [
        steps,
        operand('W', rows, INPUTS, [rows, INPUTS]),
        operand('R', rows, UNITS, [rows, UNITS]),
        operand('B', 2 * rows, 1, [2 * rows]),
      ],
      { hidden_size: UNITS, ...attributes },
    );
  };
}

const EVERY = {
  LSTM: [layer('LSTM', 4), layer('LSTM', 4, { direction: 'bidirectional' })],
  GRU: [layer('GRU', 3, { linear_before_reset: 1 }), layer('GRU', 3, { direction: 'reverse' })],
  RNN: [layer('RNN', 1), layer('RNN', 1, { direction: 'bidirectional' })],
};

/** The same forms at every opset at which the operators changed. */
export const RECURRENT = Object.fromEntries(
  Object.entries(EVERY).flatMap(([type, forms]) => ['@7', '@14', '@22', ''].map((at) => [`${type}${at}`, forms])),
);
