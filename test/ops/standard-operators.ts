/**
 * The operators of ai.onnx up to opset 28, and why channels are not followed through some of them.
 */

export const NEWEST_OPSET = 28;

/** By name. */
export const STANDARD: readonly string[] = words(`
  Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention
  AveragePool BatchNormalization Bernoulli BitCast BitShift BitwiseAnd BitwiseNot
  BitwiseOr BitwiseXor BlackmanWindow Cast CastLike CausalConvWithState Ceil Celu
  CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape
  Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace
  DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand
  EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
  GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization
  HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If ImageDecoder
  InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual
  LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max
  MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod
  Mul Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot
  Optional OptionalGetElement OptionalHasElement Or PRelu Pad Pow QLinearConv
  QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike
  RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
  ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
  RegexFullMatch Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT
  Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty
  SequenceErase SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin
  Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split
  SplitToSequence Sqrt Squeeze StringConcat StringNormalizer StringSplit Sub Sum SwiGLU
  Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu
  Unique Unsqueeze Upsample Where Xor
`);

/** Each reason, and the operators that it is true of. */
export const PINNED: readonly (readonly [reason: string, names: readonly string[]])[] = [
  [
    'it computes with whole axes',
    words(`
      LRN CausalConvWithState CumProd DFT Det GroupNormalization LayerNormalization
      LinearAttention MelWeightMatrix NegativeLogLikelihoodLoss RMSNormalization
      RotaryEmbedding STFT SkipLayerNormalization SoftmaxCrossEntropyLoss SwiGLU
    `),
  ],
  [
    'what comes out, and how much of it, is chosen by the data',
    words(`
      Compress NonMaxSuppression NonZero OneHot TfIdfVectorizer TopK Unique
    `),
  ],
  [
    'where it reads or writes is computed',
    words(`
      AffineGrid DeformConv GatherElements GatherND GridSample MaxRoiPool MaxUnpool
      ReverseSequence RoiAlign Scatter ScatterElements ScatterND TensorScatter
    `),
  ],
  [
    'it moves between channels and places',
    words(`
      CenterCropPad Col2Im Trilu
    `),
  ],
  [
    'a subgraph of its own: what it reads stays as it is',
    words(`
      If Loop Scan SequenceMap
    `),
  ],
  [
    'of weights that are integers, zeros and parameters are counted, and channels stay',
    words(`
      ConvInteger DequantizeLinear DynamicQuantizeLinear DynamicQuantizeMatMul
      MatMulInteger MatMulIntegerToFloat MatMulNBits QAttention QGemm QLinearConv
      QLinearMatMul QuantizeLinear
    `),
  ],
  [
    'it makes its output of sizes or of chance: there are no channels to follow',
    words(`
      Bernoulli BlackmanWindow Constant ConstantOfShape EyeLike HammingWindow
      HannWindow Multinomial RandomNormal RandomNormalLike RandomUniform
      RandomUniformLike Range Size
    `),
  ],
  [
    'sequences and optional values have no axes',
    words(`
      ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt
      SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
      SplitToSequence
    `),
  ],
  [
    'text and pictures in files have no channels of a layer',
    words(`
      ImageDecoder RegexFullMatch StringConcat StringNormalizer StringSplit
    `),
  ],
  [
    'it reads bits, not numbers',
    words(`
      BitCast
    `),
  ],
];

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
