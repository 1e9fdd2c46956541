/**
 * Module paths from what exporters write: made-up nodes for each form, then real files against each
 * other.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Node, Value } from '../../src/ir/graph.js';
import { FLOAT, Tensor } from '../../src/ir/tensor.js';
import { modulePathsOf } from '../../src/onnx/module-path.js';
import { readModel } from '../../src/onnx/read.js';
import { REAL_FILES, loadRealModel, realModelNames } from '../support/real-models.js';

const named = (name: string, metadata: Readonly<Record<string, string>> = {}): Node => {
  const node = new Node('Conv', '', name);
  node.source = { metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })) };
  return node;
};

const reading = (name: string, ...weights: readonly string[]): Node => {
  const node = named(name);
  node.inputs.push(new Value('x'), ...weights.map(initializer));
  return node;
};

function initializer(name: string): Value {
  const value = new Value(name);
  value.initializer = Tensor.fromNumbers(FLOAT, [1], [0]);
  return value;
}

describe('module path of a node', () => {
  test.each([
    ['/conv1/Conv', 'conv1'],
    ['/layer1/layer1.0/conv1/Conv', 'layer1.0.conv1'],
    ['/layer2/layer2.0/downsample/downsample.0/Conv', 'layer2.0.downsample.0'],
    ['/features/features.0/features.0.0/Conv', 'features.0.0'],
    ['/features/features.2/conv/conv.1/conv.1.0/Conv', 'features.2.conv.1.0'],
    ['/trunk_output/block1/block1-0/f/a/a.0/Conv', 'trunk_output.block1.block1-0.f.a.0'],
    ['/backbone/features.0/features.0.1/block/block.0/block.0.0/Conv', 'backbone.features.0.1.block.0.0'],
    ['/model/encoder/layer.0/attention/self/query/MatMul', 'model.encoder.layer.0.attention.self.query'],
    ['/Conv', ''],
    ['/Conv_1', ''],
  ])('%s', (name, path) => expect(modulePathsOf(named(name))[0]).toBe(path));

  test('a second call has a number that may be part of the name as well', () => {
    expect(modulePathsOf(named('/conv_1/Conv'))).toEqual(['conv_1', 'conv']);
    expect(modulePathsOf(named('/conv/Conv_1'))).toEqual(['conv']);
  });

  test('the dynamo exporter writes scopes into metadata', () => {
    const scope = 'layer1: torch.nn.modules.container.Sequential/layer1.0: BasicBlock';
    const namespace = `: ResNet/${scope}/layer1.0.conv1: torch.nn.modules.conv.Conv2d/conv2d_1: aten.conv2d.default`;
    const scopes = "['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d_1']";
    expect(modulePathsOf(named('node_conv2d_1', { namespace }))).toEqual(['layer1.0.conv1']);
    expect(modulePathsOf(named('n', { 'pkg.torch.onnx.name_scopes': scopes }))).toEqual(['layer1.0.conv1']);
  });

  test('of a folded normalisation the convolution before it is guessed first', () => {
    const folded = (path: string) =>
      modulePathsOf(
        named('node_Conv_292', {
          namespace: `: Net/${path}: torch.nn.modules.batchnorm.BatchNorm2d/bn: aten.bn`,
          'pkg.onnxscript.rewriter.rule_name': 'FuseBatchNormIntoConv',
        }),
      );
    expect(folded('layer1.0.bn2')).toEqual(['layer1.0.conv2', 'layer1.0.bn2']);
    expect(folded('downsample.1')).toEqual(['downsample.0', 'downsample.1']);
    expect(folded('norm1')).toEqual(['conv1', 'norm1']);
  });

  test('Keras layers, with the model and the call number or without', () => {
    const paths = ['resnet50/conv1_conv', 'conv1_conv'];
    expect(modulePathsOf(named('StatefulPartitionedCall/resnet50/conv1_conv/Conv2D'))).toEqual(paths);
    const weights = 'resnet50_1/conv1_conv_1/convolution/ReadVariableOp:0';
    expect(modulePathsOf(reading('Conv__223', weights))).toContain('conv1_conv');
  });

  test('the name of the weights goes first', () => {
    expect(modulePathsOf(reading('node_Conv_292', 'conv1.weight_orig'))[0]).toBe('conv1');
    expect(modulePathsOf(reading('Conv_0', 'onnx::Conv_12'))).toEqual([]);
  });
});

/** Paths of the convolutions and matrix products, sorted. */
const layerPaths = (bytes: Uint8Array): string[] =>
  readModel(bytes)
    .graph.nodes.filter(({ opType }) => ['Conv', 'Gemm'].includes(opType))
    .map((node) => modulePathsOf(node)[0] ?? 'unknown')
    .toSorted((a, b) => a.localeCompare(b));

describe('real exports', () => {
  const families = realModelNames(/\.legacy_bn$/).map((name) => name.replace('.legacy_bn', ''));

  test.each(families)('%s: the folded exports name the same modules', async (family) => {
    const expected = layerPaths(await loadRealModel(`${family}.legacy_bn`));
    expect(expected).not.toContain('unknown');
    for (const other of realModelNames(/./).filter(
      (name) => name === `${family}.legacy` || name === `${family}.dynamo`,
    ))
      expect(layerPaths(await loadRealModel(other))).toEqual(expected);
  });

  test('CIFAR ResNet-20 of torch 1.13', () => {
    const read = (name: string) => {
      const path = `${REAL_FILES}/models/cifar/${name}.onnx`;
      expect(existsSync(path)).toBe(true);
      return layerPaths(readFileSync(path));
    };
    expect(read('resnet20_folded_op13')).toEqual(read('resnet20_bn_op13'));
  });
});
