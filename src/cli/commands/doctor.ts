/**
 * `prune-compile doctor`: what is here and works; with --calibrate, measures the cost table of this
 * machine; with --get and --remove (doctor-cuda.ts), fetches what CUDA needs and removes it.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { PruneCompileError } from '../../errors.js';
import { unwritable } from '../../files/write-files.js';
import { renderCalibration, renderDiagnosis } from '../../report/doctor.js';
import { renderJson } from '../../report/json.js';
import { shellWord } from '../../report/text.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, present } from '../context.js';
import { checkEarlier, checkOutput, STDOUT, type Wanted } from '../destination.js';
import { getCommand, removeCommand } from './doctor-cuda.js';
import { OutputFiles } from '../output-files.js';
import { writeTo } from '../io.js';

export async function doctorCommand(context: Context): Promise<void> {
  const { engine, io, options, steps } = context;
  checkActions(options);
  if (options.get !== undefined) return getCommand(context);
  if (options.remove !== undefined) return removeCommand(context);
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

/** At most one of them, and what belongs to one with it. */
function checkActions(options: Context['options']): void {
  const { calibrate, get, remove, wheels, yes } = options;
  const asked = [
    ...(calibrate === true ? ['--calibrate'] : []),
    ...(get === undefined ? [] : ['--get']),
    ...(remove === undefined ? [] : ['--remove']),
  ];
  const alone = get !== undefined ? undefined : wheels !== undefined ? '--wheels' : yes === true ? '--yes' : undefined;
  const what =
    asked.length > 1
      ? `doctor does one thing at a time, and was asked for ${asked.join(' and ')}`
      : alone === undefined
        ? undefined
        : `${alone} belongs to --get, which was not given`;
  if (what === undefined) return;
  throw new PruneCompileError('E-USAGE', { what, facts: [['try', 'prune-compile doctor --get cuda']] });
}

async function calibrateCommand({ engine, io, onFinish, options, steps }: Context): Promise<void> {
  const wanted = (path: string): Wanted => ({ path, kind: 'cost table', option: '--output', canStream: true });
  if (options.output !== undefined && options.output !== STDOUT) {
    checkOutput(wanted(options.output), []);
    if (options.force !== true) checkEarlier(wanted(options.output));
  }
  await engine.checkKernels();
  const settings = { ...present({ rounds: options.runs }), signal: io.signal };
  const measured = await steps.run(
    'calibrate',
    (progress) => engine.calibrate({ ...settings, onProgress: progress }),
    ({ table }) => table.name,
  );
  const { table, text, notes } = measured;
  if (options.output === STDOUT) {
    await writeTo(io.stdout, text);
    return;
  }
  const isDefault = options.output === undefined;
  const path = options.output ?? measured.path;
  // A folder is made only where the user did not name it.
  if (isDefault) makeFolder(path);
  const files = new OutputFiles(options.force);
  onFinish(() => files.discard());
  files.add(wanted(path), text);
  files.publish([]);
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

function makeFolder(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw unwritable(path, error);
  }
}
