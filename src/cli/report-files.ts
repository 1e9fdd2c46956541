/** Report files: rendered by extension. */
import { rendererFor } from '../report/render.js';
import type { CompileReport } from '../report/types.js';
import { reportAt } from './compiled-output.js';
import type { OutputFiles } from './output-files.js';
import type { Steps } from './steps.js';

export async function writeReports(
  report: CompileReport,
  paths: readonly string[],
  files: OutputFiles,
  steps: Steps,
): Promise<void> {
  if (paths.length === 0) return;
  await steps.run(
    'report',
    async () => {
      for (const path of paths) files.add(reportAt(path), (await rendererFor(path)?.(report)) ?? '');
    },
    () => paths.join(', '),
  );
}
