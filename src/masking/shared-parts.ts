/**
 * Which constants hold elements of which parameters: rows, columns and blocks, selections, pieces
 * of something longer. Some numbers of each constant are searched for in all parameters, in one
 * walk through each.
 */
import { type Numbers, PROBES, bitsOfBlock, bitsOfSet, bitsOfValue, probesOf, rounded } from './shared-elements.js';
import type { MaskedParameter, OpenConstant } from './masked-parameter.js';

export interface SharedPart {
  readonly parameter: MaskedParameter;
  readonly constant: OpenConstant;
}

/** Pairs of which the mask takes an element that the constant has. */
export function sharedParts(
  parameters: readonly MaskedParameter[],
  constants: readonly OpenConstant[],
  least: number,
): SharedPart[] {
  const types = [...new Set(constants.map(({ tensor }) => tensor.dataType))];
  return types.flatMap((dataType) => {
    const search = new Search(constants.filter(({ tensor }) => tensor.dataType === dataType));
    return parameters.flatMap((parameter) => {
      const own = rounded(parameter.tensor, dataType);
      const found = search.in(own);
      if (found.size === 0) return [];
      const bits = bitsOfValue(own, dataType);
      return [...found].flatMap(([constant, places]): SharedPart[] => {
        if (bitsOfPart({ constant, places, parameter, bits }) < least) return [];
        return holdsLost(constant, parameter, own) ? [{ parameter, constant }] : [];
      });
    });
  });
}

interface Part {
  readonly constant: OpenConstant;
  /** Of its numbers those that the parameter has, and where: undefined where in several places. */
  readonly places: ReadonlyMap<number, number | undefined>;
  readonly parameter: MaskedParameter;
  readonly bits: number;
}

function bitsOfPart({ constant, places, parameter: { tensor }, bits }: Part): number {
  const count = probesOf(constant.tensor.numbers()).length;
  const ofSet = bitsOfSet(places.size, count, tensor.size / 2 ** bits);
  const isSmall = constant.tensor.size <= PROBES && places.size === count;
  if (!isSmall || ofSet > bits * count) return ofSet;
  const placeOf = (value: number) => places.get(value);
  return Math.max(ofSet, bitsOfBlock(constant.tensor.numbers(), constant.tensor.dims, tensor.dims, { bits, placeOf }));
}

function holdsLost({ tensor }: OpenConstant, { isLost }: MaskedParameter, own: Numbers): boolean {
  const values = new Set(tensor.numbers());
  for (let at = 0; at < own.length; at++) if (isLost(at) && values.has(own[at] ?? 0)) return true;
  return false;
}

const TABLE_BITS = 20;

/** Numbers of many constants, looked for at once. */
class Search {
  readonly #wanted = new Map<number, OpenConstant[]>();
  /** Whether a number with such bits is wanted at all: most are not, and a map is slow. */
  readonly #table = new Uint8Array(2 ** TABLE_BITS);
  readonly #float = new Float32Array(1);
  readonly #word = new Uint32Array(this.#float.buffer);

  constructor(constants: readonly OpenConstant[]) {
    for (const constant of constants) {
      for (const probe of probesOf(constant.tensor.numbers())) {
        const list = this.#wanted.get(probe);
        if (list === undefined) this.#wanted.set(probe, [constant]);
        else list.push(constant);
        this.#table[this.#hash(probe)] = 1;
      }
    }
  }

  in(numbers: Numbers): Map<OpenConstant, Map<number, number | undefined>> {
    const found = new Map<OpenConstant, Map<number, number | undefined>>();
    for (let at = 0; at < numbers.length; at++) {
      const value = numbers[at] ?? 0;
      if (this.#table[this.#hash(value)] === 0) continue;
      for (const constant of this.#wanted.get(value) ?? []) {
        const places = found.get(constant) ?? new Map<number, number | undefined>();
        found.set(constant, places.set(value, places.has(value) ? undefined : at));
      }
    }
    return found;
  }

  #hash(value: number): number {
    this.#float[0] = value;
    return Math.imul(this.#word[0] ?? 0, 0x9e3779b1) >>> (32 - TABLE_BITS);
  }
}
