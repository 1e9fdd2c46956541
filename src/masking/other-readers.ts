/**
 * Who else reads a masked parameter: an operator without weights of its own, a layer that computes
 * a constant, a subgraph. In the framework the parameter itself is masked, so the mask is for all
 * of them; a reader that no mask can be put in front of is an error, by name.
 */
import { PruneCompileError } from '../errors.js';
import type { Graph, Node, Use, Value } from '../ir/graph.js';
import { isSameFactors, type MaskedWeight, operandOf } from '../masks/apply.js';
import { modulesOf } from '../masks/binding.js';
import { isNameOf } from '../masks/names.js';
import type { WeightSlot } from '../masks/slots.js';
import { nodeModulePathsOf } from '../onnx/module-path.js';
import { aliasedBy, isSameElements, isStored, readsNoElements } from '../ops/aliases.js';
import { maskAt } from './mask-at.js';
import { factorsOfStored } from './mask-edits.js';
import { scalingNodes, storedOf } from './scaled-parameters.js';

/** The same masks at the other readers of what they are for. Throws E-MASK-LOST. */
export function otherReaders(
  graph: Graph,
  weights: readonly MaskedWeight[],
  slots: readonly WeightSlot[],
): MaskedWeight[] {
  const known = new Known(weights, slots);
  const computed = new Set(weights.flatMap(computingNodes));
  const byStored = new Map<Value, Masked>();
  for (const weight of weights) {
    const stored = changesAnything(weight) ? storedOf(weight, graph) : undefined;
    const others = stored === undefined ? undefined : byStored.get(stored);
    if (stored !== undefined) byStored.set(stored, others === undefined ? [weight] : [...others, weight]);
  }
  return [...byStored].flatMap(([stored, masked]) => {
    if (stored.isGraphOutput) throw lostAt(masked, stored, 'at an output of the model', 'it is an output itself');
    const found = known.othersOf(stored).filter(({ node }) => isOwn(node, stored, masked));
    return found.map((reader) => maskedAt(reader, stored, masked, { known, computed }));
  });
}

type Masked = readonly [MaskedWeight, ...MaskedWeight[]];

/** A reader without a mask. */
interface Reader {
  readonly node: Node;
  /** Undefined where no mask can be put in front: `isOutput` says which of the two it is. */
  readonly index: number | undefined;
  /** The model outputs what the node makes of the value; else a subgraph reads it by name. */
  readonly isOutput?: boolean;
  /** The stored value, an alias of it, or what it is on the way to a weight that is computed. */
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
    this.#slots = byNode(slots.filter(isOfItsOwn));
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
      if (readsNoElements(use) || has(this.#masked, use)) continue;
      const isAlias = use.index === 0 && aliasedBy(use.node) === value;
      if (made !== undefined && (isAlias || this.#scaling.has(use.node))) {
        const isOutput = made.isGraphOutput && isWanted({ node: use.node, index: -1 });
        if (isOutput) wanted.push({ node: use.node, index: undefined, isOutput, value });
        else wanted.push(...this.#readersOf(made, isWanted));
      } else if (isWanted(use)) wanted.push({ ...use, value });
    }
    return wanted;
  }
}

/** Masks of ones lose nothing anywhere. */
function changesAnything({ factors, offsets }: MaskedWeight): boolean {
  return offsets !== undefined || factors.some((factor) => factor !== 1);
}

/**
 * Exporters store equal tensors once: a reader in another module has a parameter of its own there.
 */
function isOwn(node: Node, { name }: Value, masked: Masked): boolean {
  const paths = nodeModulePathsOf(node);
  const modules = masked.flatMap(({ bindings }) => bindings.flatMap(modulesOf));
  // A name without a module is the tensor's own, whoever reads it.
  const isOfNoModule = modules.includes('') || modules.includes(name);
  if (paths.length === 0 || isOfNoModule) return true;
  return modules.some((module) =>
    paths.some((path) => path === '' || path === module || module.startsWith(`${path}.`)),
  );
}

/** Where a mask stays after what computes the weight: all that the weight depends on. */
function computingNodes({ bindings: [{ slot }] }: MaskedWeight): readonly Node[] {
  const nodes = new Set<Node>();
  const pending = isStored(slot.root) ? [] : [slot.value];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (at.producer === undefined || nodes.has(at.producer)) continue;
    nodes.add(at.producer);
    pending.push(...at.producer.inputs.filter((input) => input !== undefined));
  }
  return [...nodes];
}

/** A parameter of another name or module, which stays what it is. */
function isOfItsOwn({ isLayer, part, value, root }: WeightSlot): boolean {
  return isLayer || part !== undefined || value !== root;
}

interface Readers {
  readonly known: Known;
  readonly computed: ReadonlySet<Node>;
}

function maskedAt(reader: Reader, stored: Value, masked: Masked, { known, computed }: Readers): MaskedWeight {
  const [first] = masked;
  const [binding] = first.bindings;
  const { node, index, value } = reader;
  const refused = (why: string) => lostAt(masked, stored, `where ${node.label} reads it`, why);
  if (index === undefined)
    throw refused(
      reader.isOutput === true
        ? `the model outputs what ${node.opType} makes of it, and no mask can be put after that`
        : `a subgraph of it (${node.opType}) reads it by name, and no mask can be put there`,
    );
  if (computed.has(node))
    throw refused('the weight is scaled there by what is computed from it, and the mask would come after that');
  const all = masked.map((weight) => factorsOfStored(stored, weight));
  const [factors] = all;
  const isOneMask = all.every((other) => other !== undefined && factors !== undefined && isSameFactors(other, factors));
  if (factors === undefined || !isOneMask || masked.some(({ offsets }) => offsets !== first.offsets))
    throw refused('the layers that read it have different masks of it, and nothing tells which is for this reader');
  if (!isSameElements(value, stored))
    throw refused('it is read there in another layout or type than by the layers with the mask');
  if (known.hasOtherSlots(stored) && !isNameOf(stored.name, binding.claim.name))
    throw refused('layers without the mask read it as well, and nothing tells whose it is for this reader');
  const tensor = stored.initializer ?? operandOf(binding.slot);
  return maskAt(first, { node, index }, { value, root: stored, tensor }, factors);
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
