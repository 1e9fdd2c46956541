/** `prune-compile inspect MODEL` */
import { renderInspection } from '../../report/inspection.js';
import { renderJson } from '../../report/json.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, nameOf, present, sourceOf } from '../context.js';
import { writeTo } from '../io.js';
import { maskOptions } from '../mask-options.js';

export async function inspectCommand({ engine, io, options, positionals }: Context): Promise<void> {
  const [model = ''] = positionals;
  const { target, align } = options;
  const source = await sourceOf(model, io);
  const found = await engine.inspectModel(source, {
    ...present({ target, align }),
    ...maskOptions(options),
    signal: io.signal,
  });
  const inspection = { ...found, model: nameOf(model) };
  await writeTo(
    io.stdout,
    options.json === true ? renderJson({ schema: REPORT_SCHEMA, ...inspection }) : renderInspection(inspection),
  );
}
