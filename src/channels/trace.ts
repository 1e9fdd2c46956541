/** The parameters of a model before it is edited: whose they are, and what the training framework calls them. */
import type { Knowledge } from '../analysis/site.js';
import type { Node, Value } from '../ir/graph.js';
import { isFloating } from '../ir/tensor.js';
import { modulePathsOf } from '../onnx/module-path.js';
import { isTransposition, parameterRole } from '../ops/parameters.js';

/** A constant operand of the model as it was read. */
export interface TracedWeight {
  readonly node: Node;
  readonly input: number;
  /** The value that the node reads: an initializer, or what a mask is multiplied into. */
  readonly initializer: string;
  /** undefined where neither the initializer nor the node tells. */
  readonly parameter: string | undefined;
  /** Whether the operand has the parameter's axes in reverse. */
  readonly isReversed: boolean;
  /** In the operand's layout. */
  readonly dims: readonly number[];
}

export interface Trace {
  readonly weights: readonly TracedWeight[];
  /** Per node of the model: which inputs are data, not constants. */
  readonly isData: ReadonlyMap<Node, readonly boolean[]>;
}

export function traceWeights({ graph, constants }: Knowledge): Trace {
  const isData = new Map<Node, readonly boolean[]>();
  const found: (Omit<TracedWeight, 'parameter' | 'isReversed'> & { readonly stated: Stated | undefined })[] = [];
  for (const node of graph.nodes) {
    isData.set(
      node,
      node.inputs.map((value) => value !== undefined && !constants.has(value)),
    );
    if (node.outputs.every((value) => constants.has(value))) continue;
    for (const [input, value] of node.inputs.entries()) {
      const tensor = constants.tensor(value);
      if (value === undefined || tensor === undefined || !isFloating(tensor.dataType)) continue;
      const stated = statedParameter(value);
      const isNamed = stated !== undefined && (stated.name.includes('.') || tensor.dims.length > 1);
      if (isNamed || parameterRole(node, input) !== undefined)
        found.push({ node, input, initializer: value.name, dims: tensor.dims, stated });
    }
  }
  const taken = new Set(found.flatMap(({ stated }) => stated?.name ?? []));
  const weights = found.map(({ stated, ...weight }) => {
    const { node, input } = weight;
    if (stated !== undefined) return { ...weight, parameter: stated.name, isReversed: stated.isReversed };
    const parameter = namedByModule(node, input, taken);
    // An exporter that transposed a weight gave it a name of its own.
    return { ...weight, parameter, isReversed: parameterRole(node, input)?.isReversed === true };
  });
  return { weights, isData };
}

/** `layer1.0.conv1` and the bias of a layer: `layer1.0.conv1.bias`. A name that another tensor has is not given twice. */
export function namedByModule(node: Node, input: number, taken: ReadonlySet<string>): string | undefined {
  const role = parameterRole(node, input);
  if (role === undefined) return undefined;
  return modulePathsOf(node)
    .map((path) => (path === '' ? role.name : `${path}.${role.name}`))
    .find((name) => !taken.has(name));
}

interface Stated {
  readonly name: string;
  readonly isReversed: boolean;
}

/** The parameter that a constant is made from, by its own name; `…_orig` is what pruning makes of a parameter. */
function statedParameter(value: Value): Stated | undefined {
  if (value.initializer !== undefined)
    return isAutomatic(value.name) ? undefined : { name: parameterName(value.name), isReversed: false };
  const seen = new Map([[value, false]]);
  let first: Stated | undefined;
  for (const [at, isReversed] of seen) {
    if (at.initializer !== undefined && !isAutomatic(at.name)) {
      const stated = { name: parameterName(at.name), isReversed };
      if (at.name.endsWith('_orig')) return stated;
      first ??= at.name.endsWith('_mask') ? undefined : stated;
    }
    const { producer } = at;
    for (const input of producer?.inputs ?? []) {
      if (producer === undefined || input === undefined || seen.has(input)) continue;
      seen.set(input, isReversed !== isTransposition(producer));
    }
  }
  return first;
}

/** `conv1.weight_orig` -> `conv1.weight`; `conv1.weight_bias` is what folding a normalisation gives the convolution. */
function parameterName(name: string): string {
  return name.replace(/_orig$/, '').replace(/\.weight_bias$/, '.bias');
}

/** Names that exporters make up. */
const AUTOMATIC =
  /^onnx::|^\/|^\d+$|^(val|mul|add|sub|div|t|permute|transpose|view|reshape|const|constant|scalar)(_\d+)*(_bias)?$|_folded$/i;

function isAutomatic(name: string): boolean {
  return AUTOMATIC.test(name);
}
