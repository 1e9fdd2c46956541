/** Codes: what makes and reads them, layers that compute with them. */
import {
  codedLayer,
  type CodedForm,
  decodedWeights,
  dequantize,
  fusedMatrix,
  quantize,
} from '../../fixtures/networks/coded.js';
import { float, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';

type Apply = (g: GraphBuilder, x: string) => string;

const MICROSOFT = { domain: 'com.microsoft' };
/** As many as examples.ts has. */
const CHANNELS = 4;

/** One scale for all. */
const roundTrip: Apply = (g, x) => dequantize(g, quantize(g, x));
/** One for each channel, and for each row of an image. */
const alongAxis =
  (axis: number): Apply =>
  (g, x) => {
    const extent = axis === 1 ? CHANNELS : 6;
    const coding = [
      { data: Array.from({ length: extent }, (_, at) => 0.01 * (at + 1)) },
      { data: Uint8Array.from({ length: extent }, (_, at) => 20 * at) },
    ];
    return g.op('DequantizeLinear', [g.op('QuantizeLinear', [x, ...coding], { axis }), ...coding], { axis });
  };
const signed: Apply = (g, x) => {
  const coding = { scale: 0.02, zero: -5, isSigned: true };
  return dequantize(g, quantize(g, x, coding), coding);
};

const conversions: readonly Apply[] = [roundTrip, signed, alongAxis(1), alongAxis(2)];
/** Blocks of a channel have no row. */
const blocked: Apply = (g, x) => {
  const coding = [
    { data: new Float32Array(2 * 2 * 36).fill(0.03), dims: [2, 2, 6, 6] },
    { data: new Uint8Array(2 * 2 * 36).fill(99), dims: [2, 2, 6, 6] },
  ];
  const attributes = { axis: 1, block_size: 2 };
  return g.op('DequantizeLinear', [g.op('QuantizeLinear', [x, ...coding], attributes), ...coding], attributes);
};

const asMatrix: Apply = (g, x) => g.transpose(x, [0, 2, 3, 1]);
const rows: Apply = (g, x) => g.reshape(asMatrix(g, x), [-1, CHANNELS]);

const convolution =
  (form: CodedForm, isPerFilter: boolean): Apply =>
  (g, x) =>
    codedLayer(g, x, form, {
      name: 'coded',
      dims: [3, CHANNELS, 3, 3],
      isPerFilter,
      attributes: { pads: [1, 1, 1, 1] },
    });
const unpadded =
  (form: CodedForm): Apply =>
  (g, x) =>
    codedLayer(g, x, form, { name: 'coded', dims: [3, CHANNELS, 2, 2], dead: [1] });
const depthwise =
  (form: CodedForm): Apply =>
  (g, x) =>
    codedLayer(g, x, form, {
      name: 'coded',
      dims: [CHANNELS, 1, 3, 3],
      isPerFilter: true,
      attributes: { group: CHANNELS, pads: [0, 0, 0, 0] },
    });
const convolutions = (form: CodedForm): readonly Apply[] => [
  convolution(form, false),
  convolution(form, true),
  unpadded(form),
  depthwise(form),
];
const matrix =
  (form: CodedForm, hasBias: boolean, isPerFilter = false): Apply =>
  (g, x) =>
    codedLayer(g, hasBias ? rows(g, x) : asMatrix(g, x), form, {
      name: 'coded',
      dims: [CHANNELS, 3],
      hasBias,
      isPerFilter,
      dead: [2],
    });

const fused =
  (quantisesItself: boolean, isPerFilter = false): Apply =>
  (g, x) =>
    fusedMatrix(g, asMatrix(g, x), { name: 'coded', dims: [CHANNELS, 3], isPerFilter, dead: [2] }, quantisesItself);

const CODES = [
  { data: [0.03], dims: [] },
  { data: Uint8Array.of(121), dims: [] },
];
const OTHERS = [
  { data: [0.05], dims: [] },
  { data: Uint8Array.of(90), dims: [] },
];
const other: Apply = (g, x) => g.op('QuantizeLinear', [g.op('Neg', [x]), ...OTHERS]);
/** Of codes of x and others. */
const ofTwo =
  (type: string): Apply =>
  (g, x) => {
    const inputs = [quantize(g, x), ...CODES, other(g, x), ...OTHERS, ...OTHERS];
    return g.op('DequantizeLinear', [g.op(type, inputs, {}, MICROSOFT), ...OTHERS]);
  };
/** Of codes of x alone, with codes of another scale for the result. */
const ofOne =
  (type: string, attributes: Parameters<GraphBuilder['op']>[2] = {}): Apply =>
  (g, x) => {
    const inputs = [quantize(g, x), ...CODES, ...OTHERS];
    return g.op('DequantizeLinear', [g.op(type, inputs, attributes, MICROSOFT), ...OTHERS]);
  };
const joined =
  (axis: number): Apply =>
  (g, x) => {
    const inputs = [...OTHERS, quantize(g, x), ...CODES, other(g, x), ...OTHERS];
    return g.op('DequantizeLinear', [g.op('QLinearConcat', inputs, { axis }, MICROSOFT), ...OTHERS]);
  };

export const QUANTISED: Readonly<Record<string, readonly Apply[]>> = {
  QuantizeLinear: conversions,
  DequantizeLinear: [
    (g, x) => g.conv(x, decodedWeights(g, { name: 'w', dims: [3, CHANNELS, 1, 1], isPerFilter: true })),
  ],
  'QuantizeLinear@10': [roundTrip, signed],
  'DequantizeLinear@10': [(g, x) => g.conv(x, decodedWeights(g, { name: 'w', dims: [3, CHANNELS, 1, 1] }))],
  ...Object.fromEntries([13, 19, 21, 23].map((opset) => [`QuantizeLinear@${opset}`, conversions])),
  ...Object.fromEntries([19, 23].map((opset) => [`DequantizeLinear@${opset}`, [roundTrip, alongAxis(1)]])),
  'DequantizeLinear@21': [blocked],
  DynamicQuantizeLinear: [
    // Of a reader that is no layer the codes are no numbers.
    (g, x) => {
      const [codes = '', scale = '', zero = ''] = g.ops('DynamicQuantizeLinear', [x], {}, { outputs: 3 });
      return g.op('DequantizeLinear', [codes, scale, zero]);
    },
  ],
  ConvInteger: convolutions('dynamic'),
  QLinearConv: convolutions('integer'),
  'QLinearConv@10': [convolution('integer', true)],
  'ConvInteger@10': [
    (g, x) => g.op('Cast', [g.op('ConvInteger', [quantize(g, x), storedCodes(), CODES[1] ?? ''])], { to: 1 }),
  ],
  MatMulIntegerToFloat: [fused(false), fused(false, true)],
  DynamicQuantizeMatMul: [fused(true), fused(true, true)],
  MatMulInteger: [matrix('dynamic', false), matrix('dynamic', false, true)],
  QLinearMatMul: [matrix('integer', false), matrix('integer', false, true)],
  'QLinearMatMul@10': [matrix('integer', false)],
  'QLinearMatMul@21': [matrix('integer', false, true)],
  QGemm: [matrix('integer', true), matrix('integer', true, true)],
  QLinearAdd: [ofTwo('QLinearAdd')],
  QLinearMul: [ofTwo('QLinearMul')],
  QLinearLeakyRelu: [ofOne('QLinearLeakyRelu', { alpha: float(0.1) })],
  QLinearSigmoid: [ofOne('QLinearSigmoid')],
  QLinearGlobalAveragePool: [ofOne('QLinearGlobalAveragePool')],
  QLinearAveragePool: [
    ofOne('QLinearAveragePool', { kernel_shape: [2, 2], strides: [2, 2] }),
    ofOne('QLinearAveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
    ofOne('QLinearAveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
    ofOne('QLinearAveragePool', { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  ],
  QLinearConcat: [joined(1), joined(2), joined(-1)],
  QLinearSoftmax: [
    ofOne('QLinearSoftmax', { axis: 1, opset: 17 }),
    ofOne('QLinearSoftmax', { axis: -1, opset: 17 }),
    ofOne('QLinearSoftmax', { axis: 2, opset: 11 }),
  ],
};

function storedCodes() {
  return {
    data: Int8Array.from({ length: 3 * CHANNELS * 4 }, (_, at) => ((at * 37) % 200) - 100),
    dims: [3, CHANNELS, 2, 2],
  };
}
