/** Report files: rendered by extension, written as atomically as models. */
import { messageOf, PruneCompileError } from '../errors.js';
import { writeFiles } from '../onnx/write.js';
import { rendererFor } from '../report/render.js';
import type { CompileReport } from '../report/types.js';
import type { Steps } from './steps.js';

export async function writeReports(report: CompileReport, paths: readonly string[], steps: Steps): Promise<void> {
  if (paths.length === 0) return;
  await steps.run(
    'report',
    () => {
      for (const path of paths) writeReport(path, rendererFor(path)?.(report) ?? '');
    },
    () => paths.join(', '),
  );
}

function writeReport(path: string, text: string): void {
  try {
    writeFiles([{ path, chunks: [Buffer.from(text)] }]);
  } catch (error) {
    throw new PruneCompileError('E-OUTPUT-UNWRITABLE', {
      what: `cannot write the report ${path}`,
      facts: [
        ['why', error instanceof PruneCompileError ? (error.facts[0]?.[1] ?? error.message) : messageOf(error)],
        ['try', '--report with a path in a folder you may write to'],
      ],
      cause: error,
    });
  }
}
