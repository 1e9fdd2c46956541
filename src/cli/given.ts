/** `--inputs` and what goes with it, for the commands that run models on real data. */
import { PruneCompileError } from '../errors.js';
import type { Accuracy } from '../samples/accuracy.js';
import type { Given } from '../samples/given.js';
import { formatPlural } from '../report/numbers.js';
import { type Context, present } from './context.js';
import type { Source } from './engine.js';
import { type OptionKey, shownFlag } from './options.js';

/** Mean nothing without inputs. */
const DEPENDENT = ['labels', 'mean', 'std', 'size'] as const satisfies readonly OptionKey[];

/** Undefined without --inputs. `batch`: samples in a run, where the model leaves that open. */
export async function givenFor(
  model: Source,
  { engine, options, steps }: Pick<Context, 'engine' | 'options' | 'steps'>,
  batch?: number,
): Promise<Given | undefined> {
  const { inputs, shape, labels, mean, std, size } = options;
  if (inputs === undefined) {
    const alone = DEPENDENT.find((key) => options[key] !== undefined);
    if (alone === undefined) return undefined;
    throw new PruneCompileError('E-USAGE', {
      what: `${shownFlag(alone)} needs inputs`,
      facts: [['for example', `--inputs images.npz ${shownFlag(alone)} …`]],
    });
  }
  if (shape !== undefined)
    throw new PruneCompileError('E-USAGE', {
      what: '--shape and --inputs exclude each other',
      facts: [['why', 'what is given has its own shape']],
    });
  return steps.run(
    'inputs',
    () => engine.readGiven(model, { inputs, ...present({ labels, mean, std, size, batch }) }),
    ({ samples, feeds }) => `${formatPlural(samples, 'sample')} in ${formatPlural(feeds.length, 'run')}`,
  );
}

/** Undefined without labels. */
export async function accuracyOf(
  models: readonly { readonly name: string; readonly model: Source }[],
  given: Given | undefined,
  { engine, io, options, steps }: Context,
): Promise<Accuracy | undefined> {
  if (given?.labels === undefined) return undefined;
  return steps.run('accuracy', (progress) =>
    engine.measureAccuracy(models, given, {
      ...present({ threads: options.threads }),
      signal: io.signal,
      onProgress: progress,
    }),
  );
}

/** What a reader of the results must know of the data. */
export function givenNotes(given: Given | undefined): string[] {
  if (given === undefined) return [];
  const { samples, path, feeds, notes } = given;
  return [`given: ${formatPlural(samples, 'sample')} of ${path} in ${formatPlural(feeds.length, 'run')}`, ...notes];
}
