/**
 * Which module of the training framework a node comes from: `layer1.0.conv1`. Exporters write it
 * down in one of four ways:
 *
 *   initializer name   layer1.0.conv1.weight, layer1.0.conv1.weight_orig, conv1_conv/kernel:0      (any)
 *   node name          /layer1/layer1.0/conv1/Conv, second call /layer1/layer1.0/conv1_1/Conv      (TorchScript exporter)
 *   node metadata      namespace, pkg.torch.onnx.name_scopes                                       (dynamo exporter)
 *   node name          StatefulPartitionedCall/resnet50/conv1_conv/Conv2D                          (tf2onnx)
 *
 * A guess is only a candidate: who binds by name compares shapes as well.
 */
import type { Node, Value } from '../ir/graph.js';
import type { NodeProto } from './proto.js';

/** Parameter names end so; what pruning calls them before it is made permanent, too. */
const PARAMETER = /\.((weight|bias)(_orig|_mask|_v)?|running_(mean|var))$/;

/** Most likely first; empty where the file says nothing. '' is the root module. */
export function modulePathsOf(node: Node): readonly string[] {
  const paths = [...fromInitializers(node), ...fromMetadata(node), ...fromNodeName(node.name)];
  return [...new Set(paths)];
}

/**
 * What the node itself says, whatever its weights are called: exporters merge equal weights under
 * one name.
 */
export function nodeModulePathsOf(node: Node): readonly string[] {
  return [...new Set([...(isFolded(node) ? [] : fromMetadata(node)), ...fromNodeName(node.name)])];
}

/**
 * Only what the file states: a convolution that a normalisation was folded into is not called after
 * that by guessing.
 */
export function statedModulePathsOf(node: Node): readonly string[] {
  const paths = [...fromInitializers(node), ...(isFolded(node) ? [] : fromMetadata(node)), ...fromNodeName(node.name)];
  return [...new Set(paths)];
}

/**
 * The module that a parameter's name belongs to; undefined where the name is not one of a
 * parameter.
 */
export function moduleOfParameter(name: string): string | undefined {
  if (PARAMETER.test(name)) return name.replace(PARAMETER, '');
  return /^(weight|bias)(_orig|_mask|_v)?$/.test(name) ? '' : undefined;
}

/**
 * Weights say it best: a node that BatchNorm was folded into is often named after that. Data is
 * input 0.
 */
function* fromInitializers(node: Node): Generator<string> {
  for (const value of node.inputs.slice(1)) {
    for (const { name } of constantsBehind(value)) {
      const module = moduleOfParameter(name);
      if (module !== undefined) yield module;
      else if (/ReadVariableOp|kernel/.test(name)) yield* fromTensorFlow(name);
    }
  }
}

/**
 * The initializer itself, or those that one operator makes it from (a mask that is still multiplied
 * at run time).
 */
function constantsBehind(value: Value | undefined): readonly Value[] {
  if (value === undefined) return [];
  if (value.initializer !== undefined) return [value];
  const operands = value.producer?.inputs ?? [];
  return operands.every((operand) => operand?.initializer !== undefined)
    ? operands.filter((operand) => operand !== undefined)
    : [];
}

interface Scope {
  readonly path: string;
  readonly type: string;
}

function* fromMetadata(node: Node): Generator<string> {
  const module = innermostModule(metadata(node, 'namespace'), metadata(node, 'pkg.torch.onnx.name_scopes'));
  if (module === undefined) return;
  // The node that is left tells of the normalisation; its convolution is called alike or comes
  // right before.
  if (isFolded(node)) yield* beforeNorm(module.path);
  yield module.path;
}

function metadata(node: Node, key: string): string | undefined {
  const { metadataProps = [] } = (node.source ?? {}) as NodeProto;
  return metadataProps.find((entry) => entry.key === key)?.value;
}

/** Whether the exporter left a bias out because it was zero. */
export function isWithoutZeroBias(node: Node): boolean {
  return /RemoveOptionalBias/.test(metadata(node, 'pkg.onnxscript.rewriter.rule_name') ?? '');
}

/** Whether the exporter folded the normalisation after the node into it. */
export function isFolded(node: Node): boolean {
  return /FuseBatchNorm/.test(metadata(node, 'pkg.onnxscript.rewriter.rule_name') ?? '');
}

/** The last scope is the operator itself, those before it are modules, outermost first. */
function innermostModule(namespace: string | undefined, scopes: string | undefined): Scope | undefined {
  if (scopes !== undefined) {
    const paths = [...scopes.matchAll(/'([^']*)'/g)].map(([, path = '']) => path);
    const path = paths.at(-2);
    if (path !== undefined) return { path, type: '' };
  }
  const last = namespace?.split('/').at(-2);
  if (last === undefined) return undefined;
  const at = last.indexOf(': ');
  return at < 0 ? undefined : { path: last.slice(0, at), type: last.slice(at + 2) };
}

/** layer1.0.bn1 -> layer1.0.conv1; features.3.1 -> features.3.0. */
function* beforeNorm(path: string): Generator<string> {
  const [, parent = '', last = ''] = /^(.*\.)?([^.]*)$/.exec(path) ?? [];
  if (/^\d+$/.test(last)) {
    if (Number(last) > 0) yield `${parent}${Number(last) - 1}`;
  } else if (/bn|norm/i.test(last)) yield parent + last.replace(/bn|(batch_?)?norm/i, 'conv');
}

function* fromNodeName(name: string): Generator<string> {
  if (!name.includes('/')) return;
  if (!name.startsWith('/')) {
    yield* fromTensorFlow(name);
    return;
  }
  const scopes = name.split('/').slice(1, -1);
  yield joinScopes(scopes);
  // The second call of a module has a number after its name; a module's own name may end so as
  // well.
  yield joinScopes(scopes.map((scope, index) => (index === scopes.length - 1 ? uncounted(scope) : scope)));
  yield joinScopes(scopes.map(uncounted));
}

/**
 * A child of a container repeats the container's name: layer1, layer1.0, downsample, downsample.0.
 */
function joinScopes(scopes: readonly string[]): string {
  const path: string[] = [];
  for (const scope of scopes) {
    const parent = path.at(-1);
    if (parent !== undefined && scope.startsWith(`${parent}.`)) path.pop();
    path.push(scope);
  }
  return path.join('.');
}

function uncounted(scope: string): string {
  return scope.replace(/_\d+$/, '');
}

/** Operators that tf2onnx leaves at the end of a layer's path. */
const TENSORFLOW_OPERATOR =
  /^(convolution|Conv2D|depthwise|DepthwiseConv2dNative|BiasAdd|MatMul|Tensordot|Cast|Squeeze|ReadVariableOp|kernel)(_\d+)?(:\d+)?$/;

/**
 * With the model's name and without it, with the number of the call and without it: Keras saves
 * `conv1_conv/kernel`.
 */
function* fromTensorFlow(name: string): Generator<string> {
  const path = name.split('/').filter((segment) => segment !== 'StatefulPartitionedCall');
  const end = path.findIndex((segment) => TENSORFLOW_OPERATOR.test(segment));
  const layer = end < 0 ? path.slice(0, -1) : path.slice(0, end);
  for (const from of [0, 1]) {
    const segments = layer.slice(from);
    const last = segments.at(-1);
    if (last === undefined) return;
    yield segments.join('/');
    yield [...segments.slice(0, -1), uncounted(last)].join('/');
  }
}
