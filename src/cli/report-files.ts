/** Report files: rendered by extension. */
import { rendererFor } from '../report/render.js';
import type { CompileReport } from '../report/types.js';
import { writeSideFile } from './side-file.js';
import type { Steps } from './steps.js';

export async function writeReports(report: CompileReport, paths: readonly string[], steps: Steps): Promise<void> {
  if (paths.length === 0) return;
  await steps.run(
    'report',
    () => {
      for (const path of paths) writeSideFile(path, rendererFor(path)?.(report) ?? '', 'the report', '--report');
    },
    () => paths.join(', '),
  );
}
