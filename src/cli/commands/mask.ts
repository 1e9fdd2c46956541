/** `prune-compile mask MODEL`: make masks, write them, say what the compiler will remove. */
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { PruneCompileError } from '../../errors.js';
import type { MaskFormat } from '../../mask-maker/make-masks.js';
import { renderJson } from '../../report/json.js';
import { renderMaskMaking } from '../../report/mask-making.js';
import { formatBytes } from '../../report/numbers.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { breathe, type Context, nameOf, present, sourceOf, STDIN } from '../context.js';
import { checkEarlier, checkOutput, defaultMaskOutput } from '../destination.js';
import { OutputFiles } from '../output-files.js';
import { writeTo } from '../io.js';

/** Not imported from the mask maker, which loads ONNX Runtime: mistakes must not wait for that. */
const FORMATS: ReadonlyMap<string, MaskFormat> = new Map([
  ['.safetensors', 'safetensors'],
  ['.npz', 'npz'],
  ['.json', 'json'],
  ['.onnx', 'onnx'],
]);

export async function maskCommand({ engine, io, onFinish, options, positionals, steps }: Context): Promise<void> {
  const [model = ''] = positionals;
  const to = options.output ?? (model === STDIN ? undefined : defaultMaskOutput(model));
  const format = to === undefined ? undefined : FORMATS.get(extname(to).toLowerCase());
  if (to === undefined || format === undefined) throw noFormat(to);
  const wanted = { path: to, kind: format === 'onnx' ? 'model' : 'masks', option: '--output' } as const;
  if (model === STDIN || existsSync(model)) {
    checkOutput(wanted, model === STDIN ? [] : [model]);
    if (options.force !== true) checkEarlier(wanted);
  }

  const { granularity, criterion, ratio, scope, groups, widthMultiple, exclude, seed, meaning } = options;
  const asked = present({ granularity, criterion, ratio, scope, groups, widthMultiple, exclude, seed, meaning });
  const source = await sourceOf(model, io);
  const made = await steps.run(
    'masks',
    () => engine.makeMasks(source, { ...asked, signal: io.signal }),
    ({ masks, report: { zeros } }) => `${masks.length} masks, ${zeros} zeros`,
  );
  if (options.dryRun === true) {
    const report = { ...made.report, model: nameOf(model), output: to };
    const text = renderMaskMaking(report);
    await writeTo(
      io.stdout,
      options.json === true
        ? renderJson({ schema: REPORT_SCHEMA, ...report, dryRun: true })
        : `${text}\ndry run: nothing was written\n`,
    );
    return;
  }
  await breathe(io.signal);
  const files = new OutputFiles(options.force);
  onFinish(() => files.discard());
  const sizeBytes = await steps.run(
    'write',
    () => files.write(wanted, (staged) => made.write(staged, format)).result,
    (size) => formatBytes(size),
  );
  await breathe(io.signal);
  files.publish(made.inputs);

  const report = { ...made.report, model: nameOf(model), output: to, sizeBytes };
  await writeTo(
    io.stdout,
    options.json === true ? renderJson({ schema: REPORT_SCHEMA, ...report }) : renderMaskMaking(report),
  );
}

function noFormat(to: string | undefined): PruneCompileError {
  return new PruneCompileError('E-USAGE', {
    what:
      to === undefined ? 'masks of a model from standard input need a file' : `the name ${to} does not say a format`,
    facts: [['try', `--output masks.safetensors; or one that ends in ${[...FORMATS.keys()].slice(1).join(', ')}`]],
  });
}
