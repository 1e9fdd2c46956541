/**
 * One line for every step, with its time, on standard error. What is under way is a bar where a
 * person watches, with the time that is left; in a pipe it is a line, where two seconds have passed
 * without one.
 */
import type { Colors } from './colors.js';
import { printable } from '../printable.js';
import { formatMs } from '../report/numbers.js';
import type { StepTime } from '../report/types.js';
import { type Output, writeDiagnostic } from './io.js';

const CLEAR_LINE = '\r\u001B[2K';

const BAR = 20;
/** A pipe hears of what is under way at most so often. */
const SILENCE_MS = 2000;
/** Before that, what is left cannot be told from the first runs. */
const LEAST_MS_TO_TELL = 1000;

/** What is under way: in words, and how far it is. */
export type Progress = (done: number, total: number, what?: string) => void;

export interface StepsOptions {
  readonly output: Output;
  readonly colors: Colors;
  /** False with --quiet and --json. */
  readonly shown: boolean;
  /** Milliseconds; tests bring their own. */
  readonly now?: () => number;
}

export class Steps {
  /** Of the steps that `run` measured, in order. */
  readonly times: StepTime[] = [];
  readonly #options: StepsOptions;
  readonly #now: () => number;
  /** When something was printed last. */
  #spoke: number;

  constructor(options: StepsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#spoke = this.#now();
  }

  /** A step that somebody else measured. */
  done(step: { step: string; ms: number; detail?: string }): void {
    const { colors } = this.#options;
    const detail = step.detail === undefined ? '' : `   ${colors.dim(printable(step.detail))}`;
    this.#print(`${this.#clear()}${step.step.padEnd(12)}${formatMs(step.ms).padStart(10)}${detail}\n`);
  }

  /** A line without a time. */
  tell(step: string, text: string): void {
    this.#print(`${this.#clear()}${step.padEnd(22)}   ${this.#options.colors.dim(printable(text))}\n`);
  }

  async run<T>(
    step: string,
    work: (progress: Progress, say: (text: string) => void) => T | Promise<T>,
    detailOf?: (result: T) => string,
  ): Promise<T> {
    const start = this.#now();
    let since: { what: string; at: number; done: number } | undefined;
    this.#underWay(step, '…');
    try {
      const progress: Progress = (done, total, what = '') => {
        // Each part of a step has a pace of its own, and something to do before its first run.
        if (since === undefined || what !== since.what) since = { what, at: this.#now(), done };
        this.#progress(step, { done, total, what }, leftText(this.#now() - since.at, done - since.done, total - done));
      };
      const result = await work(progress, (text) => this.#say(step, text));
      const ms = this.#now() - start;
      this.times.push({ step, ms });
      this.done({ step, ms, ...(detailOf === undefined ? {} : { detail: detailOf(result) }) });
      return result;
    } catch (error) {
      this.#print(this.#clear());
      throw error;
    }
  }

  #progress(step: string, { done, total, what }: { done: number; total: number; what: string }, left: string): void {
    const count = `${what === '' ? '' : `${what} `}${done}/${total}`;
    if (this.#options.output.isTTY === true) {
      const filled = Math.min(BAR, Math.floor((BAR * done) / Math.max(total, 1)));
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`;
      this.#underWay(step, `${bar} ${count}${left}`);
    } else this.#say(step, `${count}${left}`);
  }

  /** What is under way, where nobody knows how far it is. */
  #say(step: string, text: string): void {
    if (this.#options.output.isTTY === true) this.#underWay(step, text);
    else if (this.#now() - this.#spoke >= SILENCE_MS)
      this.#print(`${step.padEnd(12)}${'…'.padStart(10)}   ${printable(text)}\n`);
  }

  #underWay(step: string, text: string): void {
    if (this.#options.output.isTTY === true)
      this.#print(`${CLEAR_LINE}${step.padEnd(12)}${this.#options.colors.dim(printable(text))}`);
  }

  #clear(): string {
    return this.#options.output.isTTY === true ? CLEAR_LINE : '';
  }

  #print(text: string): void {
    this.#spoke = this.#now();
    if (this.#options.shown && text !== '') void writeDiagnostic(this.#options.output, text);
  }
}

/** `, 12 s left`: as long as the same pace goes on. */
function leftText(ms: number, done: number, left: number): string {
  if (ms < LEAST_MS_TO_TELL || done <= 0 || left <= 0) return '';
  const seconds = Math.ceil(((ms / done) * left) / 1000);
  return seconds < 100 ? `, ${seconds} s left` : `, ${Math.round(seconds / 60)} min left`;
}
