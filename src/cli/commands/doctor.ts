/** `prune-compile doctor`: what is here and works; with --calibrate, measures the cost table of this machine. */
import { PruneCompileError } from '../../errors.js';
import { renderCalibration, renderDiagnosis } from '../../report/doctor.js';
import { renderJson } from '../../report/json.js';
import { shellWord } from '../../report/text.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, present } from '../context.js';
import { checkOutput, STDOUT } from '../destination.js';
import { writeTo } from '../io.js';
import { writeSideFile } from '../side-file.js';

export async function doctorCommand(context: Context): Promise<void> {
  const { engine, io, options, steps } = context;
  if (options.calibrate === true) return calibrateCommand(context);
  const unused = options.output === undefined ? (options.runs === undefined ? undefined : '--runs') : '--output';
  if (unused !== undefined) {
    throw new PruneCompileError('E-USAGE', {
      what: `doctor writes nothing and measures nothing, and ${unused} was given`,
      facts: [['try', `prune-compile doctor --calibrate ${unused} …`]],
    });
  }
  const diagnosis = await steps.run('doctor', () => engine.diagnose());
  await writeTo(
    io.stdout,
    options.json === true ? renderJson({ schema: REPORT_SCHEMA, ...diagnosis }) : renderDiagnosis(diagnosis),
  );
}

async function calibrateCommand({ engine, io, options, steps }: Context): Promise<void> {
  if (options.output !== undefined && options.output !== STDOUT) checkOutput(options.output, [], '--output');
  await engine.checkKernels();
  const settings = { ...present({ rounds: options.runs }), signal: io.signal };
  const measured = await steps.run(
    'calibrate',
    (progress) => engine.calibrate({ ...settings, onProgress: (done, total) => progress(`${done}/${total}`) }),
    ({ table }) => table.name,
  );
  const { table, text, notes } = measured;
  if (options.output === STDOUT) {
    await writeTo(io.stdout, text);
    return;
  }
  const isDefault = options.output === undefined;
  const path = options.output ?? measured.path;
  writeSideFile(path, text, 'the cost table', '--output', { makesFolder: isDefault });
  const next = isDefault
    ? `--sparse decides by ${path} from now on, on this machine`
    : `--sparse-target ${shellWord(path)} decides by it, on any machine`;
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, output: path, table, notes })
      : renderCalibration(table, [...notes, next]),
  );
}
