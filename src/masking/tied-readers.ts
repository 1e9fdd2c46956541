/**
 * Parameters that are the masked one under another name: a tensor that two modules read, or a
 * stored copy with equal values. In the framework they may be one tied parameter, which has the
 * mask everywhere, or parameters of their own, as torch.nn.utils.prune leaves them. A file that has
 * a tensor for both names says which; a mask alone does not.
 */
import { PruneCompileError } from '../errors.js';
import type { Graph, Node, Use, Value } from '../ir/graph.js';
import { isFloating, type Tensor } from '../ir/tensor.js';
import type { MaskedWeight } from '../masks/apply.js';
import type { Binding } from '../masks/binding.js';
import { relationOf } from '../masks/evidence.js';
import {
  PACKED_ATTENTION,
  PACKED_ATTENTION_BIAS,
  parameterOf,
  type ParsedKey,
  parseKey,
  statedModule,
  statisticOf,
} from '../masks/names.js';
import type { WeightSlot } from '../masks/slots.js';
import { nodeModulePathsOf } from '../onnx/module-path.js';
import { aliasedBy, readsNoElements, rootOf, storedTensor } from '../ops/aliases.js';
import { factorsOfStored } from './mask-edits.js';
import { storedOf } from './scaled-parameters.js';
import { bitsOfOrder, bitsOfValue, LEAST_BITS, ordersOf, rounded } from './shared-elements.js';

export interface TieContext {
  readonly graph: Graph;
  readonly slots: readonly WeightSlot[];
  /** Of each file, the parameters that it has a tensor for. */
  readonly stated: readonly ReadonlySet<string>[];
}

/** A reader that has no mask, and may be meant. */
export interface TiedReader {
  readonly binding: Binding;
  readonly use: Use;
  /** What the reader has there, before any alias. */
  readonly stored: Value;
  readonly slot: WeightSlot | undefined;
  /** As --mask-map may call it: a parameter, or a node. */
  readonly name: string;
}

/** `masked` are all places with masks. Empty where the files say enough. */
export function tiedReaders(masked: readonly MaskedWeight[], { graph, slots, stated }: TieContext): TiedReader[] {
  const places = new Map<Node, Set<number>>();
  for (const { bindings } of masked) {
    const { node, index } = bindings[0].slot;
    places.set(node, (places.get(node) ?? new Set()).add(index));
  }
  const isMasked = ({ node, index }: Use) => places.get(node)?.has(index) === true;
  const constants = [...graph.values.values()].flatMap((value) => {
    const tensor = storedTensor(value);
    return tensor !== undefined && isFloating(tensor.dataType) && tensor.size > 1 ? [{ value, tensor }] : [];
  });
  const least = LEAST_BITS + Math.log2(Math.max(1, constants.length));
  const found: TiedReader[] = [];
  const known = new Set<Value>();
  for (const weight of masked) {
    const value = storedOf(weight, graph);
    const tensor = value === undefined ? undefined : storedTensor(value);
    if (value === undefined || tensor === undefined || known.has(value)) continue;
    known.add(value);
    const [binding] = weight.bindings;
    if (isExplicit(binding, value) || !losesAnything(weight, value, tensor) || !isRare(tensor, least)) continue;
    const copies = constants.filter((other) => other.value !== value && isCopyOf(other.tensor, tensor));
    for (const stored of [value, ...copies.map((copy) => copy.value)]) {
      for (const { use, name } of readersOf(stored, isMasked, parseKey(stored.name))) {
        if (isVector(tensor) && !sharesMatrix(binding.slot.node, use.node)) continue;
        const slot = slots.find(({ node, index }) => node === use.node && index === use.index);
        const names = namesOf(use, name, binding);
        if (names.length === 0 || names.some((one) => stated.some((of) => of.has(one)))) continue;
        const [first = ''] = names;
        const isNamed = slot === undefined || slot.parameter === first.slice(first.lastIndexOf('.') + 1);
        found.push({ binding, use, stored, slot, name: isNamed ? first : use.node.label });
      }
    }
  }
  return found;
}

/** Who sends a mask somewhere, or calls the tensor as only this model does, means that one. */
function isExplicit({ evidence, claim }: Binding, { name }: Value): boolean {
  return evidence === 'map' || (claim.key === name && parseKey(name)?.isParameter !== true);
}

function losesAnything(weight: MaskedWeight, stored: Value, tensor: Tensor): boolean {
  if (weight.offsets !== undefined) return false;
  const factors = factorsOfStored(stored, weight);
  const numbers = tensor.numbers();
  return factors?.some((factor, at) => factor !== 1 && numbers[at] !== 0) === true;
}

/**
 * Shifts of two branches that are added become equal in training, although nobody tied them: of
 * vectors equal values are no evidence of a tie.
 */
function isVector({ dims }: Tensor): boolean {
  return dims.filter((extent) => extent !== 1).length < 2;
}

/** Whether the two layers have a weight in common: then what else they have in common is tied too. */
function sharesMatrix(one: Node, other: Node): boolean {
  const matrices = ({ inputs }: Node) =>
    inputs.flatMap((value) => {
      const tensor = value === undefined ? undefined : storedTensor(rootOf(value));
      return tensor === undefined || isVector(tensor) ? [] : [tensor];
    });
  const own = matrices(one);
  return matrices(other).some((tensor) => own.some((matrix) => matrix.size > 1 && isCopyOf(tensor, matrix)));
}

/** Ones, zeros and few values are what many parameters have. */
function isRare(tensor: Tensor, least: number): boolean {
  const numbers = tensor.numbers();
  return bitsOfOrder(numbers) >= least && bitsOfValue(numbers, tensor.dataType) > 0;
}

function isCopyOf(other: Tensor, tensor: Tensor): boolean {
  if (other.size !== tensor.size) return false;
  if (other === tensor) return true;
  return ordersOf(rounded(tensor, other.dataType), tensor.dims, other.numbers()).some(({ factor }) => factor === 1);
}

interface Reader {
  readonly use: Use;
  /** The last name of a parameter on the way. */
  readonly name: ParsedKey | undefined;
}

function readersOf(value: Value, isMasked: (use: Use) => boolean, name: ParsedKey | undefined): Reader[] {
  const inside = value.capturedBy.map((node): Reader => ({ use: { node, index: -1 }, name }));
  const outside = value.uses.flatMap((use): Reader[] => {
    const [made] = use.node.outputs;
    if (readsNoElements(use) || isMasked(use)) return [];
    if (made === undefined || use.index !== 0 || aliasedBy(use.node) !== value) return [{ use, name }];
    const own = parseKey(made.name) ?? statisticOf(made.name);
    return readersOf(made, isMasked, own?.isParameter === true ? own : name);
  });
  return [...inside, ...outside];
}

/**
 * The parameters that the reader may have there, all of other names than the mask's; empty where it
 * is no other parameter.
 */
function namesOf({ node }: Use, name: ParsedKey | undefined, { claim }: Binding): readonly string[] {
  const nodePaths = nodeModulePathsOf(node);
  const relation = relationOf(claim, { nodePaths });
  if (relation === 'own') return [];
  const own = parameterOf(claim.name);
  const stored = name?.isParameter === true ? parameterOf(name) : undefined;
  if (relation !== 'stranger') return stored === undefined || stored === own ? [] : [stored];
  // What is parametrized is a child of its module.
  const modules = nodePaths.map(statedModule);
  if (modules.some((module) => module.startsWith(`${claim.name.module}.parametrizations.`))) return [];
  const { parameter: given } = claim.name;
  const parameters =
    claim.at === undefined ? [given] : [given === 'bias' ? PACKED_ATTENTION_BIAS : PACKED_ATTENTION, given];
  const byReader = modules.flatMap((module) => parameters.map((parameter) => parameterOf({ module, parameter })));
  return [...byReader, ...(stored === undefined || stored === own ? [] : [stored])];
}

export function unclearTie({ binding: { claim, slot }, use: { node }, stored, name }: TiedReader): PruneCompileError {
  const own = parameterOf(claim.name);
  return new PruneCompileError('E-MASK-AMBIGUOUS', {
    what: `the mask ${claim.key} of ${claim.file} may be for ${name} as well, which has the same values`,
    facts: [
      ['masked', `${own}, read by ${slot.node.label} (${slot.node.opType})`],
      ['other', `${name}, read by ${node.label} (${node.opType}) from ${stored.name}`],
      ['why', 'nothing in the file says whether the two are one tied parameter or two of equal values'],
      [
        'try',
        `masks for both in the file, or --mask-map FILE with { ${JSON.stringify(claim.key)}: ${JSON.stringify([own, name])} } for both, ${JSON.stringify(own)} for the first alone`,
      ],
    ],
  });
}
