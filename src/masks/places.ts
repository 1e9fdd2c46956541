/** Where something lies in a checkpoint, and what the words on the way say of it. */
import { type Entry, isList, isMap } from './contents.js';
import { type KnownLayer, type KnownLayers, segmentsOf } from './known-layers.js';
import { isOfTraining, isQuantity, isSettings, sayPruning, saysWhatItIs } from './said-words.js';

/** Where something lies: the keys on the way, and names that stand beside it. */
export interface Place {
  readonly key: string;
  /** The name of a layer in the list or the mapping that it lies in: `['conv1', [0, 3]]`. */
  readonly beside?: string;
  /** Whether that is the item before it, so that no word is between the two. */
  readonly isPair?: boolean;
  /** Whether a number on the way is the name of a layer. */
  readonly isNumbered?: boolean;
  /** Names of layers in a list beside it, which may have one item for each. */
  readonly among?: readonly string[];
}

/** What a place says of the numbers in it. */
export interface About {
  readonly name: string;
  readonly layer: KnownLayer | undefined;
  /** A word says that something was pruned or is left. */
  readonly isSaid: boolean;
  /** A word says that it is no channel. */
  readonly isHarmless: boolean;
  readonly isTraining: boolean;
  readonly isSettings: boolean;
}

/** The layer that the place names, and what the words around its name say. */
export function aboutPlace(layers: KnownLayers, { key, beside = '', isPair, isNumbered }: Place): About {
  const segments = segmentsOf(key);
  const other = layers.find(segmentsOf(beside), true);
  const own = other === undefined ? layers.find(segments, isNumbered) : undefined;
  const words = own === undefined ? segments : [...own.before, ...own.after];
  const isText = (word: string) => !/^\d+$/.test(word);
  // What the value is called: the last word after the layer, else the one right before it.
  const nearest =
    own === undefined || own.after.some(isText)
      ? isPair === true
        ? undefined
        : (own?.after ?? segments).findLast(isText)
      : own.before.at(-1);
  const isAmount = nearest !== undefined && isQuantity(nearest);
  const isSaid = sayPruning(isAmount ? words.filter((word) => word !== nearest) : words);
  // Of a group of an optimizer, its parameters by number.
  const isGroup = nearest === 'params' && words.includes('param_groups');
  return {
    name: other?.name ?? own?.name ?? '',
    layer: other?.layer ?? own?.layer,
    isSaid,
    isHarmless: isAmount || isGroup || (nearest !== undefined && saysWhatItIs(nearest) && !isSaid),
    isTraining: isOfTraining(words),
    isSettings: isSettings(words),
  };
}

/** The name of a layer in a list or a mapping, which says whose the rest is. */
export function nameBeside(entry: Entry, layers: KnownLayers): string | undefined {
  return itemsOf(entry).find((item): item is string => typeof item === 'string' && layers.has(item));
}

/** The names of layers in one list or mapping of several: the others have an item for each. */
export function namesBeside(entry: Entry, layers: KnownLayers): { names: readonly string[]; of: Entry } | undefined {
  for (const of of itemsOf(entry)) {
    const names = itemsOf(of);
    const isNames = names.length > 0 && names.every((name) => typeof name === 'string' && layers.has(name));
    if (isNames) return { names: names.filter((name) => typeof name === 'string'), of };
  }
  return undefined;
}

function itemsOf(entry: Entry): readonly Entry[] {
  return isList(entry) ? entry : isMap(entry) ? [...entry.values()] : [];
}
