/**
 * chain-sparse: sparse convolutions that keep the size of their images run as one operator, strip
 * by strip, so that what lies between them stays in the second-level cache.
 *
 *   x -> SparseConv -> SparseConv -> SparseConv (+ x) -> y      =>      x -> SparseChain -> y
 *
 * Exact? Bitwise: every step sums as its operator did. Declines when: sparse/chains.ts says which
 * convolutions belong together, and the cost table from which batch on a chain pays. Cost: one walk over the graph per sparse convolution.
 *
 * One edit a chain, after those of all sparse layers: `--stop-after N` counts layers as without.
 */
import type { Editor } from '../src/ir/editor.js';
import { type AttributeValue, type Node, SPARSE_DOMAIN, type Value } from '../src/ir/graph.js';
import { isCompensation } from '../src/ir/origin.js';
import { FLOAT, Tensor } from '../src/ir/tensor.js';
import { type Pass, UNCHANGED } from './pass.js';
import { floats, ints, text } from './sparse/attributes.js';
import { type ChainStep, findChains } from './sparse/chains.js';

export const chainSparse: Pass = {
  name: 'chain-sparse',
  summary: 'run sparse convolutions of one image size strip by strip',
  exactness: 'bitwise',
  run({ editor, sparse }) {
    // What the compiler added is no layer of the network; a chain has layers alone.
    const chains = findChains(editor.graph.nodes.filter((node) => !isCompensation(node)));
    if (chains.length === 0) return Promise.resolve(UNCHANGED);
    const { chainsFromBatch = 1 } = sparse.choice().table;
    const paying = chains.filter((chain) => (imagesOf(chain) ?? sparse.batch()) >= chainsFromBatch);
    const made = paying.map((chain) => editor.transaction(labelOf(chain), () => replace(editor, chain)));
    return Promise.resolve({ changed: made.includes(true), gains: false, remarks: [] });
  },
};

/** Images of a batch; undefined where their number is open. */
function imagesOf(chain: readonly ChainStep[]): number | undefined {
  const images = chain.at(-1)?.output.declared?.dims[0];
  return typeof images === 'number' ? images : undefined;
}

function labelOf(chain: readonly ChainStep[]): string {
  const [first, last] = [chain[0], chain.at(-1)].map((step) => step?.node.label ?? '');
  return `chain of ${chain.length} sparse operators, ${first} to ${last}`;
}

/** The chain stands where its last step stood and computes the value that this computed. */
function replace(editor: Editor, chain: readonly ChainStep[]): void {
  const [first, last] = [chain[0], chain.at(-1)];
  if (first === undefined || last === undefined) return;
  const name = editor.graph.freshNodeName(`${last.node.label}_chain`);
  const { outputs } = editor.addNode(
    {
      opType: 'SparseChain',
      domain: SPARSE_DOMAIN,
      name,
      origin: {
        kind: 'native',
        of: chain.flatMap(({ node: { origin } }) => (origin?.kind === 'native' ? origin.of : [])),
      },
      inputs: [first.x, ...chain.flatMap((step) => weightsOf(editor, step))],
      outputs: [name],
      attributes: attributesOf(first, chain),
    },
    last.node,
  );
  if (outputs[0] !== undefined) editor.swapProducers(last.output, outputs[0]);
  for (const { node } of chain.toReversed()) editor.removeNode(node);
}

function weightsOf(editor: Editor, { node, filters }: ChainStep): (Value | undefined)[] {
  const [, values, bits, bias] = node.inputs;
  const zeros = () =>
    editor.addInitializer(`${node.label}_bias`, Tensor.fromNumbers(FLOAT, [filters], new Float32Array(filters)));
  return [values, bits, bias ?? zeros()];
}

function attributesOf(first: ChainStep, chain: readonly ChainStep[]): Record<string, AttributeValue> {
  const places = new Map<Value, number>(
    [first.x, ...chain.map(({ output }) => output)].map((value, at) => [value, at]),
  );
  const nodes = chain.map(({ node }) => node);
  const each = <Kind>(of: (node: Node) => Kind) => nodes.map(of);
  return {
    channels: ints(each((node) => node.int('channels', 0))),
    filters: ints(each((node) => node.int('filters', 0))),
    group: ints(each((node) => node.int('group', 1))),
    kernel_shape: ints(nodes.flatMap((node) => node.ints('kernel_shape') ?? [])),
    sources: ints(chain.map(({ x }) => places.get(x) ?? -1)),
    residuals: ints(chain.map(({ residual }) => (residual && places.get(residual)) ?? -1)),
    activations: text(each((node) => node.string('activation', 'None')).join(' ')),
    alphas: floats(each((node) => node.float('alpha', 0))),
    betas: floats(each((node) => node.float('beta', 0))),
    input_size: ints(first.size),
    names: text(JSON.stringify(each(({ label }) => label))),
  };
}
