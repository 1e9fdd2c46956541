/**
 * Words beside numbers of a checkpoint that say what the numbers are. The list is closed: a word
 * that is not in it says nothing, and then the numbers may be channels.
 */
import { saysPruning, wordsOf } from './names.js';
import { trainingState } from './sections.js';

/** What was set before training. */
const SETTINGS =
  /^(\w*_)?(args?|arguments|config|cfg|hparams|hyper_?param(eter)?s|opts?|options|settings|meta(data)?)$/i;
/** Extents of a layer, whatever they are called. */
const GEOMETRY = /(^|_)(shape|size|dim|stride|padding|dilation|kernel|width|height|depth|axis|axes|version)s?$/i;
/** What a layer has beside its weights. */
const SWITCH =
  /^((use|has|with|is|add)_)?(bias|affine|relu|act|activation|norm|bn|batch_?norm|dropout|quanti[sz]ed?|tied|shared)$/i;
/** What is or is not trained, and how often it was. */
const TRAINED = /^(requires_?grad|(is_?)?trainable|(is_?)?frozen|freeze|training|num_batches_tracked)$/i;
/** When and how much: no index of a channel. */
const QUANTITY =
  /^(epochs?|steps?|iter(ation)?s?|ratios?|rates?|prob(abilitie)?s?|probability|milestones?|schedules?|sparsit(y|ies)|densit(y|ies)|percent(age)?s?|amounts?|freq(uenc(y|ies))?|last|lrs?|wd|decay|momentum|mult(iplier)?s?|loss(es)?|acc(uracy)?|flops|macs|latency)$/i;
/** A place of one channel. */
const INDEX = /^(idx|idxs|ind|inds|index|indexes|indices)$/i;
const CHANNEL = /^(channel|filter|unit|neuron|row|column|col|ch)$/i;
/** What became of something, where `prune` says what is to be done. */
const RESULT =
  /^(masks?|masked|pruned|kept|keep|removed?|deleted|dropped|zeroed|killed|alive|dead|remain(s|ing)?|surviv(ors?|ing))$/i;

/** `step_3` is one of many, and what it holds is not steps. */
function isNumbered(word: string): boolean {
  return /\d$/.test(word);
}

export function isQuantity(word: string): boolean {
  // `lr_scheduler` is a part of a checkpoint, and no rate.
  const isName = isNumbered(word) || trainingState(word) !== undefined;
  return !isName && wordsOf(word).some((part) => QUANTITY.test(part));
}

/** What a layer is, not what it lost. */
export function saysWhatItIs(word: string): boolean {
  return !isNumbered(word) && (GEOMETRY.test(word) || SWITCH.test(word) || TRAINED.test(word));
}

export function isSettings(words: readonly string[]): boolean {
  return words.some((word) => SETTINGS.test(word));
}

/** Settings, or what training keeps of itself. */
export function isOfTraining(words: readonly string[]): boolean {
  return isSettings(words) || words.some((word) => trainingState(word) !== undefined);
}

export function saysIndex(word: string): boolean {
  return wordsOf(word).some((part) => INDEX.test(part));
}

/** `channel: 3`, where `channels: 3` is a count. */
export function saysOneChannel(word: string): boolean {
  return wordsOf(word).some((part) => INDEX.test(part) || CHANNEL.test(part));
}

export function saysBits(words: readonly string[]): boolean {
  return words.some((word) => wordsOf(word).some((part) => /^((bit)?masks?|bits)$/i.test(part)));
}

export function saysResult(words: readonly string[]): boolean {
  return words.some((word) => wordsOf(word).some((part) => RESULT.test(part)));
}

/** Nothing kept is everything gone. */
export function saysKept(words: readonly string[]): boolean {
  return words.some((word) => /kept|keep|remain|alive|active|surviv/i.test(word));
}

export function sayPruning(words: readonly string[]): boolean {
  return words.some(saysPruning);
}
