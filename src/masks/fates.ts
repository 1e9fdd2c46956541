/**
 * What became of each tensor of a mask file. Nothing is dropped without a word: a tensor that has
 * none of these fates is an error that names it.
 */
export type Fate =
  /** Bound as a mask. */
  | 'mask'
  /** A parameter of the model, whose zeros the model had not: they are masks now. */
  | 'zeros'
  /** The parameter before it was masked, which tells the weight that a mask is for. */
  | 'original'
  /** The model's own parameter: its zeros are the model's zeros. */
  | 'parameter'
  /**
   * A parameter of the model that has other values there, and no zero that the model has not: of
   * another training step.
   */
  | 'differs'
  /** Nothing in the model that is known, and without a zero: nothing was pruned there. */
  | 'no-zeros'
  /** No function depends on it: what it is says `what`. */
  | 'state'
  /** Of a second set of weights, which has no zero that the set that was read has not. */
  | 'other-set'
  /** Left out because --mask-map or --allow-unmatched says so. */
  | 'left-out';

export interface TensorFate {
  /** As the file says it. */
  readonly key: string;
  readonly fate: Fate;
  /** What state it is. */
  readonly what?: StateKind;
}

/** What no function depends on. */
export type StateKind =
  | 'optimizer'
  | 'schedule'
  | 'loss-scale'
  | 'random-numbers'
  | 'training-loop'
  | 'pruned-values'
  | 'running-statistic'
  | 'counter'
  | 'scalar'
  | 'integers';

const WORDS: Readonly<Record<Fate, readonly [one: string, many: string]>> = {
  mask: ['mask that is bound', 'masks that are bound'],
  zeros: ['parameter whose zeros are bound', 'parameters whose zeros are bound'],
  original: ['weight before masking', 'weights before masking'],
  parameter: ['parameter of the model', 'parameters of the model'],
  differs: ['parameter with other values than in the model', 'parameters with other values than in the model'],
  'no-zeros': ['tensor without zeros', 'tensors without zeros'],
  state: ['tensor of state', 'tensors of state'],
  'other-set': ['tensor of another set of weights', 'tensors of another set of weights'],
  'left-out': ['tensor left out', 'tensors left out'],
};

const STATE_WORDS: Readonly<Record<StateKind, readonly [one: string, many: string]>> = {
  optimizer: ['tensor of the optimizer', 'tensors of the optimizer'],
  schedule: ['tensor of the learning rate schedule', 'tensors of the learning rate schedule'],
  'loss-scale': ['tensor of the loss scaling', 'tensors of the loss scaling'],
  'random-numbers': ['state of random numbers', 'states of random numbers'],
  'training-loop': ['tensor of the training loop', 'tensors of the training loop'],
  'pruned-values': ['tensor of values that were pruned away', 'tensors of values that were pruned away'],
  'running-statistic': ['running statistic', 'running statistics'],
  counter: ['counter', 'counters'],
  scalar: ['scalar', 'scalars'],
  integers: ['tensor of integers', 'tensors of integers'],
};

/** `3 masks that are bound, 12 parameters of the model, 2 counters`; state by its kind. */
export function fateText(fates: readonly TensorFate[]): string {
  const counts = new Map<readonly [string, string], number>();
  for (const { fate, what } of fates) {
    const words = what === undefined ? WORDS[fate] : STATE_WORDS[what];
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  if (counts.size === 0) return 'nothing else';
  return [...counts].map(([[one, many], count]) => `${count} ${count === 1 ? one : many}`).join(', ');
}

/** Parts of one tensor have one fate: that of the part that something was done with. */
export function onePerKey(fates: readonly TensorFate[]): TensorFate[] {
  const byKey = new Map<string, TensorFate>();
  for (const fate of fates) {
    const known = byKey.get(fate.key);
    if (known === undefined || RANK.indexOf(fate.fate) < RANK.indexOf(known.fate)) byKey.set(fate.key, fate);
  }
  return [...byKey.values()];
}

const RANK: readonly Fate[] = [
  'left-out',
  'mask',
  'zeros',
  'original',
  'differs',
  'parameter',
  'no-zeros',
  'state',
  'other-set',
];
