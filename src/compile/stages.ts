/**
 * Stages of a compilation by the clock: each is timed and told, and a signal ends the work between
 * two of them.
 */
import { performance } from 'node:perf_hooks';
import type { StepTime } from '../report/types.js';
import type { CompileOptions } from './options.js';

export class Stages {
  /** In the order that they were done in. */
  readonly times: StepTime[] = [];
  readonly #options: Pick<CompileOptions, 'signal' | 'onStep'>;

  constructor(options: Pick<CompileOptions, 'signal' | 'onStep'>) {
    this.#options = options;
  }

  /** `detail` words the result for whoever watches. Throws what the signal was aborted with. */
  async run<Result>(
    step: string,
    work: () => Result | Promise<Result>,
    detail?: (result: Result) => string,
  ): Promise<Result> {
    const { signal, onStep } = this.#options;
    signal?.throwIfAborted();
    const start = performance.now();
    const result = await work();
    const time = { step, ms: performance.now() - start };
    this.times.push(time);
    onStep?.(detail === undefined ? time : { ...time, detail: detail(result) });
    return result;
  }
}
