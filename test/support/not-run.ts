/**
 * A reporter that ends the run with what was not run: how many tests, why, and what makes them run.
 */
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import type { Lack } from './needs.js';

export class NotRun implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const text = notRun(modules.flatMap((module) => [...module.children.allTests('skipped')]));
    if (text !== '') console.log(text);
  }
}

/** Empty where all were run. */
export function notRun(tests: readonly Pick<TestCase, 'meta' | 'result'>[]): string {
  const counts = new Map<string, number>();
  for (const test of tests) for (const reason of reasonsOf(test)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  if (counts.size === 0) return '';
  const lines = [...counts].map(([reason, count]) => `  ${plural(count)}: ${reason}`);
  return [`Not run: ${plural(tests.length)}`, ...lines, ''].join('\n');
}

/** One test may lack several things. */
function reasonsOf(test: Pick<TestCase, 'meta' | 'result'>): readonly string[] {
  const lacks: readonly Lack[] = test.meta().lacks ?? [];
  if (lacks.length > 0) return lacks.map(({ missing, remedy }) => `${missing}\n    to run them: ${remedy}`);
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return [note ?? 'left out by a filter or marked as skipped'];
}

function plural(count: number): string {
  return `${count} ${count === 1 ? 'test' : 'tests'}`;
}
