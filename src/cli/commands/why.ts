/** `prune-compile why MODEL NODE` */
import { renderExplanation } from '../../report/inspection.js';
import { renderJson } from '../../report/json.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, nameOf, sourceOf } from '../context.js';
import { writeTo } from '../io.js';
import { maskOptions } from '../mask-options.js';

export async function whyCommand({ engine, io, options, positionals }: Context): Promise<void> {
  const [model = '', node = ''] = positionals;
  const explanation = await engine.explainNode(await sourceOf(model, io), node, {
    ...maskOptions(options),
    signal: io.signal,
  });
  const result = { schema: REPORT_SCHEMA, model: nameOf(model), ...explanation };
  await writeTo(io.stdout, options.json === true ? renderJson(result) : renderExplanation(explanation));
}
