/**
 * A cost table by which every layer with at least 30 % zeros pays, and moving data costs a little:
 * for tests of what happens then.
 */
import type { CostTable } from '../../src/cost/sparse-cost.js';

const KIND = { denseMacsPerSecond: 1, speedups: [[0.3, 2]] } as const;

export const PAYS_FROM_30_PERCENT: CostTable = {
  name: 'pays from 30 %',
  secondsPerMovedElement: 1e-9,
  layers: { conv1x1: KIND, conv: KIND, matmul: KIND },
};
