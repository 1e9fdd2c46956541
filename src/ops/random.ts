/** Operators whose result differs between runs. */
import type { Operator } from './operator.js';

const TYPES = ['RandomNormal', 'RandomUniform', 'RandomNormalLike', 'RandomUniformLike', 'Multinomial', 'Bernoulli'];

export const randoms: readonly Operator[] = TYPES.map((type) => ({ type, notFolded: 'random' }));
