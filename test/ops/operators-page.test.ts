/** docs/operators.md is what the rows say; `npm run docs:operators` writes it anew. */
import { expect, test } from 'vitest';
import { operatorsPage, unexplained } from './operators-page.js';

test('docs/operators.md is up to date', async () => {
  await expect(await operatorsPage()).toMatchFileSnapshot('../../docs/operators.md');
}, 120_000);

test('of every operator that is not followed the reason is given', () => {
  expect(unexplained()).toEqual([]);
});
