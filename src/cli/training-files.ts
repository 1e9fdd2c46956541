/** What training goes on with: the kept channels and the small weights (docs/retrain.md). */
import { type Channels, renderChannels } from '../retraining/channels.js';
import type { Compiled } from '../compile.js';
import type { Remark } from '../../passes/pass.js';
import { channelsAt, stateDictAt } from './compiled-output.js';
import type { Options } from './options.js';
import type { OutputFiles } from './output-files.js';
import type { Steps } from './steps.js';

/** Writes the files that were asked for. */
export async function writeTrainingFiles(
  compiled: Compiled,
  { channels, stateDict }: Options,
  files: OutputFiles,
  steps: Steps,
): Promise<void> {
  const paths = [channels, stateDict].filter((path) => path !== undefined);
  if (paths.length === 0) return;
  await steps.run(
    'weights',
    () => {
      if (stateDict !== undefined) files.add(stateDictAt(stateDict), compiled.stateDict());
      if (channels !== undefined) files.add(channelsAt(channels), renderChannels(compiled.channels()));
    },
    () => paths.join(', '),
  );
}

const DROP_HINT = '; --meaning drop takes bias and shift of wholly masked filters away with them';

/**
 * What the narrow network will not compute although the compiled model does: told only to those who
 * want to train it.
 */
export function trainingRemarks(compiled: Compiled, { channels, stateDict, meaning }: Options): readonly Remark[] {
  if (channels === undefined && stateDict === undefined) return [];
  const { unheld }: Channels = compiled.channels();
  if (unheld.length === 0) return [];
  const message = unheldMessage(unheld) + (meaning === 'drop' ? '' : DROP_HINT);
  return [{ pass: 'state-dict', kind: 'missed', message }];
}

function unheldMessage(unheld: Channels['unheld']): string {
  const layers = [...new Set(unheld.map(({ node }) => node))];
  const some = layers.slice(0, 3).join(', ') + (layers.length > 3 ? ', …' : '');
  const count = layers.length === 1 ? '1 layer computes' : `${layers.length} layers compute`;
  return `the state dict is not the whole model: ${count} what no module of the original network holds (${some})`;
}
