/** The parameters of a model before it is edited: whose they are, and what the training framework calls them. */
import type { Knowledge } from '../analysis/site.js';
import type { Node, Value } from '../ir/graph.js';
import { isFloating } from '../ir/tensor.js';
import { modulePathsOf } from '../onnx/module-path.js';
import { isTransposition, parameterRole, sourcesOf } from '../ops/parameters.js';

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
      const stated = statedParameter(value, tensor.size);
      const isNamed = stated !== undefined && (stated.name.includes('.') || tensor.dims.length > 1);
      if (isNamed || parameterRole(node, input) !== undefined)
        found.push({ node, input, initializer: value.name, dims: tensor.dims, stated });
    }
  }
  const taken = new Set(found.flatMap(({ stated }) => stated?.name ?? []));
  const inferred = found.map(({ stated, node, input }) =>
    stated === undefined ? namedByModule(node, input, taken) : undefined,
  );
  const weights = found.map(({ stated, ...weight }, at) => {
    if (stated !== undefined) return { ...weight, parameter: stated.name, isReversed: stated.isReversed };
    const name = inferred[at];
    // A module that multiplies with several weights of its own says of none which it is.
    const isAmbiguous = inferred.some(
      (other, index) => other === name && found[index]?.initializer !== weight.initializer,
    );
    // An exporter that transposed a weight gave it a name of its own.
    const isReversed = parameterRole(weight.node, weight.input)?.isReversed === true;
    return { ...weight, parameter: isAmbiguous ? undefined : name, isReversed };
  });
  return { weights, isData };
}

/** `layer1.0.conv1` and the bias of a layer: `layer1.0.conv1.bias`. A name that another tensor has is not given twice. */
export function namedByModule(node: Node, input: number, taken: ReadonlySet<string>): string | undefined {
  const role = parameterRole(node, input);
  const [path] = modulePathsOf(node);
  if (role === undefined || path === undefined) return undefined;
  const name = path === '' ? role.name : `${path}.${role.name}`;
  return taken.has(name) ? undefined : name;
}

interface Stated {
  readonly name: string;
  readonly isReversed: boolean;
}

/**
 * The parameter that a constant is made from, by its own name; `…_orig` is what pruning makes of a parameter. Tensors of other
 * sizes are not the data: a mask per filter, a scale.
 */
function statedParameter(value: Value, size: number): Stated | undefined {
  if (value.initializer !== undefined)
    return isAutomatic(value.name) ? undefined : { name: parameterName(value.name), isReversed: false };
  const seen = new Map([[value, false]]);
  let first: Stated | undefined;
  for (const [at, isReversed] of seen) {
    if (at.initializer?.size === size && !isAutomatic(at.name)) {
      const stated = { name: parameterName(at.name), isReversed };
      if (at.name.endsWith('_orig')) return stated;
      first ??= at.name.endsWith('_mask') ? undefined : stated;
    }
    const { producer } = at;
    if (producer === undefined) continue;
    for (const source of sourcesOf(producer))
      if (!seen.has(source)) seen.set(source, isReversed !== isTransposition(producer));
  }
  return first;
}

/** `conv1.weight_orig` -> `conv1.weight`; `conv1.weight_bias` is what folding a normalisation gives the convolution. */
function parameterName(name: string): string {
  return name.replace(/_orig$/, '').replace(/\.weight_bias$/, '.bias');
}

/** Names that exporters and optimisers make up: numbers, paths of nodes, ATen operators, parts of a quantised tensor. */
const AUTOMATIC = new RegExp(
  [
    '^onnx::|^/|^\\d+$|_folded$|^const_fold_opt__|_(quantized|scale|zero_point)$|^reorder(_token_\\d+)?$',
    `^(${[
      'val mul add sub div t permute transpose view reshape const constant scalar scalar_tensor expand squeeze unsqueeze',
      'index slice select cat stack where arange full zeros ones clone _to_copy roll repeat masked_fill linspace',
    ]
      .join(' ')
      .replaceAll(' ', '|')})(_default)?(_\\d+)*(_bias)?$`,
  ].join('|'),
  'i',
);

function isAutomatic(name: string): boolean {
  return AUTOMATIC.test(name);
}
