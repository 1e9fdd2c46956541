/**
 * Who else reads a masked parameter: an operator without weights of its own, a layer that computes
 * a constant, a subgraph. In the framework the parameter itself is masked, so the mask is for all
 * of them; a reader that no mask can be put in front of is an error, by name.
 */
import { PruneCompileError } from '../errors.js';
import type { Graph, Node, Use, Value } from '../ir/graph.js';
import { type MaskedWeight, operandOf } from '../masks/apply.js';
import type { Claim } from '../masks/claim.js';
import { parseKey } from '../masks/names.js';
import type { WeightSlot } from '../masks/slots.js';
import { nodeModulePathsOf } from '../onnx/module-path.js';
import { aliasedBy, isStored, readsNoElements, storedAs } from '../ops/aliases.js';
import { scaledOperands } from '../ops/scaling.js';
import { factorsOfStored, isSame } from './mask-edits.js';

/** The same masks at the other readers of what they are for. Throws E-MASK-LOST. */
export function otherReaders(
  graph: Graph,
  weights: readonly MaskedWeight[],
  slots: readonly WeightSlot[],
): MaskedWeight[] {
  const known = new Known(weights, slots);
  const byStored = new Map<Value, Masked>();
  for (const weight of weights) {
    const stored = changesAnything(weight) ? storedOf(weight, graph) : undefined;
    const others = stored === undefined ? undefined : byStored.get(stored);
    if (stored !== undefined) byStored.set(stored, others === undefined ? [weight] : [...others, weight]);
  }
  return [...byStored].flatMap(([stored, masked]) => {
    if (stored.isGraphOutput) throw lostAt(masked, stored, 'at an output of the model', 'it is an output itself');
    const found = known.othersOf(stored).filter(({ node }) => isOwn(node, stored, masked));
    return found.map((reader) => maskedAt(reader, stored, masked, known));
  });
}

type Masked = readonly [MaskedWeight, ...MaskedWeight[]];

/** A reader without a mask. */
interface Reader {
  readonly node: Node;
  /** Undefined where a subgraph of the node reads the value by its name, or the model outputs it. */
  readonly index: number | undefined;
  /** The stored value, or an alias of it. */
  readonly value: Value;
}

/**
 * Which places are known: those with masks, those of other weights, and the nodes between a stored
 * tensor and a weight that is computed from it.
 */
class Known {
  readonly #masked: ReadonlyMap<Node, ReadonlySet<number>>;
  readonly #slots: ReadonlyMap<Node, ReadonlySet<number>>;
  readonly #scaling: ReadonlySet<Node>;

  constructor(weights: readonly MaskedWeight[], slots: readonly WeightSlot[]) {
    this.#masked = byNode(weights.map(({ bindings: [{ slot }] }) => slot));
    this.#slots = byNode(slots);
    this.#scaling = new Set(slots.flatMap(scalingNodes));
  }

  /**
   * Weights of other modules that are stored in the same place have masks of their own, or none.
   */
  hasOtherSlots(stored: Value): boolean {
    return this.#readersOf(stored, (use) => has(this.#slots, use) && !has(this.#masked, use)).length > 0;
  }

  othersOf(stored: Value): Reader[] {
    return this.#readersOf(stored, (use) => !has(this.#slots, use) && !has(this.#masked, use));
  }

  #readersOf(value: Value, isWanted: (use: Use) => boolean): Reader[] {
    const outside = value.capturedBy.map((node): Reader => ({ node, index: undefined, value }));
    const wanted = outside.filter(({ node }) => isWanted({ node, index: -1 }));
    for (const use of value.uses) {
      const [made] = use.node.outputs;
      const isAlias = use.index === 0 && aliasedBy(use.node) === value && !has(this.#masked, use);
      if (readsNoElements(use)) continue;
      if (made !== undefined && isAlias) {
        const isOutput = made.isGraphOutput && isWanted({ node: use.node, index: -1 });
        wanted.push(...(isOutput ? [{ node: use.node, index: undefined, value }] : this.#readersOf(made, isWanted)));
      } else if (!this.#scaling.has(use.node) && isWanted(use)) wanted.push({ ...use, value });
    }
    return wanted;
  }
}

/** Masks of ones lose nothing anywhere. */
function changesAnything({ factors, offsets }: MaskedWeight): boolean {
  return offsets !== undefined || factors.some((factor) => factor !== 1);
}

/**
 * The tensor in the file that the mask is for; undefined where the weight is computed from several.
 */
function storedOf({ bindings: [{ slot }] }: MaskedWeight, { values }: Graph): Value | undefined {
  if (isStored(slot.root)) return slot.root;
  const [nearest = ''] = slot.names;
  const value = values.get(nearest);
  return value !== undefined && isStored(value) ? value : undefined;
}

/** On the way from a stored tensor to the weight that is it, scaled. */
function scalingNodes({ value, tensor }: WeightSlot): Node[] {
  const nodes = new Set<Node>();
  const pending = [value];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const { producer } = at;
    if (at.initializer !== undefined || producer === undefined || nodes.has(producer)) continue;
    const operands = scaledOperands(producer, tensor.dims.length).filter((operand) => operand !== undefined);
    if (operands.length > 0) nodes.add(producer);
    pending.push(...operands);
  }
  return [...nodes];
}

/**
 * Exporters store equal tensors once: a reader in another module has a parameter of its own there.
 */
function isOwn(node: Node, { name }: Value, masked: Masked): boolean {
  const paths = nodeModulePathsOf(node);
  const claims = masked.flatMap(({ bindings }) => bindings.map(({ claim }) => claim));
  const modules = claims.map((claim) => claim.name.module);
  // A name without a module is the tensor's own, whoever reads it.
  const isOfNoModule = modules.includes('') || claims.some((claim) => claim.name.module === name);
  if (paths.length === 0 || isOfNoModule) return true;
  return modules.some((module) =>
    paths.some((path) => path === '' || path === module || module.startsWith(`${path}.`)),
  );
}

function maskedAt(reader: Reader, stored: Value, masked: Masked, known: Known): MaskedWeight {
  const [first] = masked;
  const [binding] = first.bindings;
  const { node, index, value } = reader;
  const refused = (why: string) => lostAt(masked, stored, `where ${node.label} reads it`, why);
  if (index === undefined)
    throw refused(
      `a subgraph of it (${node.opType}) reads it by name, or the model outputs it, and no mask can be put there`,
    );
  const all = masked.map((weight) => factorsOfStored(stored, weight));
  const [factors] = all;
  const isOneMask = all.every((other) => other !== undefined && factors !== undefined && isSame(other, factors));
  if (factors === undefined || !isOneMask || masked.some(({ offsets }) => offsets !== first.offsets))
    throw refused('the layers that read it have different masks of it, and nothing tells which is for this reader');
  if (storedAs(value) !== stored)
    throw refused('it is read there in another layout or type than by the layers with the mask');
  if (known.hasOtherSlots(stored) && !isNamedAfter(stored, binding.claim))
    throw refused('layers without the mask read it as well, and nothing tells whose it is for this reader');
  const { part: _part, added: _added, ...slot } = binding.slot;
  const tensor = stored.initializer ?? operandOf(binding.slot);
  const own = { ...slot, isLayer: false, node, index, value, root: stored, tensor };
  return { ...first, factors, bindings: [{ ...binding, slot: own }] };
}

function isNamedAfter({ name }: Value, claim: Claim): boolean {
  const own = parseKey(name);
  return own?.module === claim.name.module && own.parameter === claim.name.parameter;
}

function lostAt([first]: Masked, stored: Value, where: string, why: string): PruneCompileError {
  const [{ claim }] = first.bindings;
  const without = `--mask-map FILE with { ${JSON.stringify(claim.key)}: null }`;
  return new PruneCompileError('E-MASK-LOST', {
    what: `the mask ${claim.key} of ${claim.file} is for ${stored.name}, and would be lost ${where}`,
    facts: [
      ['why', why],
      [
        'try',
        `write the zeros into the weights before the export (in PyTorch prune.remove) and compile without this mask, or leave it out: ${without}`,
      ],
    ],
  });
}

function byNode(places: readonly Use[]): Map<Node, Set<number>> {
  const found = new Map<Node, Set<number>>();
  for (const { node, index } of places) found.set(node, (found.get(node) ?? new Set()).add(index));
  return found;
}

function has(places: ReadonlyMap<Node, ReadonlySet<number>>, { node, index }: Use): boolean {
  return places.get(node)?.has(index) === true;
}
