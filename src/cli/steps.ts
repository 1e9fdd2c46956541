/**
 * One line for every step, with its time, on standard error: plain in a pipe, with what is under
 * way where a person watches.
 */
import type { Colors } from './colors.js';
import { printable } from '../printable.js';
import { formatMs } from '../report/numbers.js';
import type { StepTime } from '../report/types.js';
import { type Output, writeDiagnostic } from './io.js';

const CLEAR_LINE = '\r\u001B[2K';

export interface StepsOptions {
  readonly output: Output;
  readonly colors: Colors;
  /** False with --quiet and --json. */
  readonly shown: boolean;
}

export class Steps {
  /** Of the steps that `run` measured, in order. */
  readonly times: StepTime[] = [];
  readonly #options: StepsOptions;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** A step that somebody else measured. */
  done(step: { step: string; ms: number; detail?: string }): void {
    const { colors } = this.#options;
    const detail = step.detail === undefined ? '' : `   ${colors.dim(printable(step.detail))}`;
    this.#print(`${this.#clear()}${step.step.padEnd(12)}${formatMs(step.ms).padStart(10)}${detail}\n`);
  }

  async run<T>(
    step: string,
    work: (progress: (text: string) => void) => T | Promise<T>,
    detailOf?: (result: T) => string,
  ): Promise<T> {
    const start = performance.now();
    const progress = (text: string) => {
      if (this.#options.output.isTTY === true)
        this.#print(`${CLEAR_LINE}${step.padEnd(12)}${this.#options.colors.dim(printable(text))}`);
    };
    progress('…');
    try {
      const result = await work(progress);
      const ms = performance.now() - start;
      this.times.push({ step, ms });
      this.done({ step, ms, ...(detailOf === undefined ? {} : { detail: detailOf(result) }) });
      return result;
    } catch (error) {
      this.#print(this.#clear());
      throw error;
    }
  }

  #clear(): string {
    return this.#options.output.isTTY === true ? CLEAR_LINE : '';
  }

  #print(text: string): void {
    if (this.#options.shown && text !== '') void writeDiagnostic(this.#options.output, text);
  }
}
