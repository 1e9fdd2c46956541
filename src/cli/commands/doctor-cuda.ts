/** `prune-compile doctor --get cuda` and `doctor --remove cuda`. */
import { PruneCompileError } from '../../errors.js';
import { renderGotten, renderPlan, renderRemoved } from '../../report/cuda.js';
import { renderJson } from '../../report/json.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import type { Context } from '../context.js';
import { writeDiagnostic, writeTo } from '../io.js';

/** What is downloaded is agreed to first: by --yes, or by a word where a person is asked. */
export async function getCommand(context: Context): Promise<void> {
  const { engine, io, options, steps } = context;
  const { wheels } = options;
  const plan = await engine.planCuda();
  if (wheels === undefined && !plan.isThere && options.yes !== true && !(await isAgreed(context))) return;
  const gotten = await steps.run('get', (_progress, say) =>
    engine.getCuda({ wheels, signal: io.signal, onProgress: say }),
  );
  const problem = await steps.run('try', () => engine.tryCuda());
  const { wasThere, folder, files, linked, kept } = gotten;
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({
          schema: REPORT_SCHEMA,
          folder,
          wasThere,
          files,
          linked,
          kept,
          works: problem === undefined,
          ...problem,
        })
      : renderGotten(gotten, problem === undefined ? 'works' : `${problem.why}; next: ${problem.get}`),
  );
}

async function isAgreed(context: Context): Promise<boolean> {
  const { engine, io, options } = context;
  if (options.json !== true) await writeTo(io.stdout, renderPlan(await engine.planCuda()));
  if (options.json === true || io.ask === undefined)
    throw new PruneCompileError('E-USAGE', {
      what: 'nothing was downloaded, because nobody agreed to it',
      facts: [
        ['why', 'the libraries are 1.3 GB, under terms of NVIDIA'],
        ['try', 'prune-compile doctor --get cuda --yes'],
      ],
    });
  if (/^y(es)?$/i.test((await io.ask('Download them? [y/N] ')).trim())) return true;
  await writeDiagnostic(io.stderr, 'nothing was changed\n');
  return false;
}

export async function removeCommand({ engine, io, options }: Context): Promise<void> {
  const removed = await engine.removeCuda();
  await writeTo(
    io.stdout,
    options.json === true ? renderJson({ schema: REPORT_SCHEMA, ...removed }) : renderRemoved(removed),
  );
}
