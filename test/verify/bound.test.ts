import { describe, expect, test } from 'vitest';
import { boundFor } from '../../src/verify/bound.js';

describe('boundFor', () => {
  test('is eight times the larger noise', () => {
    expect(boundFor('float32', { optimised: 5e-7, nudged: 3e-7 })).toMatchObject({ bound: 4e-6, noise: 5e-7 });
    expect(boundFor('float32', { optimised: 0, nudged: 1e-6 }).bound).toBe(8e-6);
  });

  test('has a floor of epsilons of the dtype', () => {
    expect(boundFor('float32', { optimised: 0, nudged: 0 }).bound).toBe(16 * 2 ** -23);
    expect(boundFor('float64', { optimised: 0, nudged: 0 }).bound).toBe(16 * 2 ** -52);
    expect(boundFor('float16', { optimised: 0, nudged: 0 }).bound).toBe(2 * 2 ** -10);
  });

  test('allows integers nothing, however noisy', () => {
    expect(boundFor('int64', { optimised: 1, nudged: 1 }).bound).toBe(0);
  });

  test('says from what it follows', () => {
    expect(boundFor('float32', { optimised: 6.1e-7, nudged: 2e-7 }).reason).toBe(
      "8 x the reference's own rounding noise, 6.1e-7 of the output's scale: " +
        'optimised against not 6.1e-7, inputs moved by one unit in the last place 2.0e-7',
    );
    expect(boundFor('float32', { optimised: 0, nudged: 0 }).reason).toMatch(/^16 float32 epsilons, more than 8 x /);
  });
});
