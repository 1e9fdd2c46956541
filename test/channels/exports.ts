/**
 * One residual network in the forms that exporters write it in: what they call its parameters, and
 * what they add.
 */
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { encodeProto } from '../../src/onnx/encode.js';
import type { ModelProto, NodeProto } from '../../src/onnx/proto.js';

export const FORMS = [
  'TorchScript: an Identity for equal tensors',
  'merged: one name for equal tensors',
  'dynamo, unoptimised: a made-up bias for each convolution',
  'dynamo, merged',
] as const;
export type Form = (typeof FORMS)[number];

const [ALIASED, , UNOPTIMISED] = FORMS;

/** Output channels of the convolutions. */
export const WIDTHS: ReadonlyMap<string, number> = new Map([
  ['conv1', 6],
  ['layer1.0.conv1', 8],
  ['layer1.0.conv2', 6],
  ['layer1.0.downsample.0', 6],
]);

const STATISTICS = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** As PyTorch's state_dict of the module has them. */
export const STATE_KEYS: readonly string[] = [
  ...[...WIDTHS.keys()].map((module) => `${module}.weight`),
  ...['bn1', 'layer1.0.bn1', 'layer1.0.bn2', 'layer1.0.downsample.1'].flatMap((module) =>
    [...STATISTICS, 'num_batches_tracked'].map((name) => `${module}.${name}`),
  ),
  'fc.weight',
  'fc.bias',
];

export function residualNetwork(form: Form): Uint8Array {
  const isDynamo = form.startsWith('dynamo');
  const g = graphBuilder({ opset: 18 });
  const modules = new Map<string, string>();
  let count = 0;
  const nodeName = (module: string, opType: string) => {
    const name = isDynamo ? `node_${opType}_${count++}` : `/${scopesOf(module).join('/')}/${opType}`;
    modules.set(name, module);
    return name;
  };
  const conv = (x: string, module: string, inputs: number, kernel: number) => {
    const dims = [WIDTHS.get(module) ?? 0, inputs, kernel, kernel];
    const weight = weightOf(g, `${module}.weight`, dims);
    const bias = form === UNOPTIMISED ? { bias: madeUpBias(g, weight, x) } : {};
    return g.conv(x, weight, { pads: (kernel - 1) / 2, name: nodeName(module, 'Conv'), ...bias });
  };
  const norm = (x: string, module: string, width: number) => {
    const [scale = '', shift = '', mean = '', variance = ''] = STATISTICS.map((name) =>
      statistic(g, form, `${module}.${name}`, width),
    );
    return g.batchNorm(x, { scale, shift, mean, variance }, { name: nodeName(module, 'BatchNormalization') });
  };
  const x = g.input('x', [2, 3, 8, 8]);
  const stem = g.relu(norm(conv(x, 'conv1', 3, 3), 'bn1', 6));
  const hidden = g.relu(norm(conv(stem, 'layer1.0.conv1', 6, 3), 'layer1.0.bn1', 8));
  const main = norm(conv(hidden, 'layer1.0.conv2', 8, 3), 'layer1.0.bn2', 6);
  const side = norm(conv(stem, 'layer1.0.downsample.0', 6, 1), 'layer1.0.downsample.1', 6);
  const pooled = g.flatten(g.globalAveragePool(g.relu(g.add(main, side))));
  const weights = [weightOf(g, 'fc.weight', [4, 6]), weightOf(g, 'fc.bias', [4])];
  g.output(g.op('Gemm', [pooled, ...weights], { transB: 1 }, { name: nodeName('fc', 'Gemm') }));
  const model = g.model();
  return encodeProto(isDynamo ? withMetadata(model, modules) : { ...model, producerName: 'pytorch' });
}

function weightOf(g: GraphBuilder, name: string, dims: readonly number[]): string {
  const size = dims.reduce((product, extent) => product * extent, 1);
  return g.initializer(name, dims, normals(11, name, size));
}

/**
 * The shifts of the two branches are equal, as they are once both have been trained on the same
 * sums.
 */
function statistic(g: GraphBuilder, form: Form, name: string, width: number): string {
  const isCopy = name === 'layer1.0.downsample.1.bias';
  if (isCopy && form === ALIASED) return g.op('Identity', ['layer1.0.bn2.bias'], {}, { outputs: [name] });
  if (isCopy && form !== UNOPTIMISED) return 'layer1.0.bn2.bias';
  const values = normals(11, isCopy ? 'layer1.0.bn2.bias' : name, width, 0.5);
  return g.initializer(name, [width], name.endsWith('running_var') ? values.map((value) => 0.5 + value ** 2) : values);
}

/** Zeros of the width and type that the convolution has. */
function madeUpBias(g: GraphBuilder, weight: string, x: string): string {
  const shape = g.op('Shape', [weight], { start: 0, end: 1 });
  const width = g.op('Expand', [shape, { data: BigInt64Array.of(1n) }]);
  return g.op('Expand', [g.op('CastLike', [g.constant({ data: [0], dims: [] }), x]), width]);
}

/** layer1.0.downsample.1 -> layer1, layer1.0, downsample, downsample.1 */
function scopesOf(module: string): string[] {
  const segments = module.split('.');
  const scopes: string[] = [];
  for (const segment of segments) {
    const last = scopes.at(-1);
    scopes.push(/^\d+$/.test(segment) && last !== undefined ? `${last}.${segment}` : segment);
  }
  return scopes;
}

function withMetadata(model: ModelProto, modules: ReadonlyMap<string, string>): ModelProto {
  const node = (model.graph?.node ?? []).map((entry): NodeProto => {
    const module = modules.get(entry.name ?? '');
    const value = `['', '${module}', '${entry.name}']`;
    return module === undefined ? entry : { ...entry, metadataProps: [{ key: 'pkg.torch.onnx.name_scopes', value }] };
  });
  const signature = STATE_KEYS.map((key) =>
    /running|tracked/.test(key) ? `b_x: BUFFER target='${key}' persistent=True` : `p_x: PARAMETER target='${key}'`,
  );
  const metadataProps = [
    {
      key: 'pkg.torch.export.ExportedProgram.graph_signature',
      value: `\n# inputs\n${signature.join('\n')}\nx: USER_INPUT\n\n# outputs\nlinear: USER_OUTPUT\n`,
    },
  ];
  return { ...model, producerName: 'pytorch', graph: { ...model.graph, node, metadataProps } };
}
