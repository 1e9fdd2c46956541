/** `prune-compile why MODEL NODE` */
import { PruneCompileError } from '../../errors.js';
import { renderExplanation } from '../../report/inspection.js';
import { renderJson } from '../../report/json.js';
import { shellWord } from '../../report/text.js';
import { REPORT_SCHEMA } from '../../report/types.js';
import { type Context, nameOf, present, sourceOf } from '../context.js';
import { writeTo } from '../io.js';
import { nearestPaths } from '../nearest.js';

export async function whyCommand(context: Context): Promise<void> {
  const { engine, io, options, positionals } = context;
  const [model = '', node = ''] = positionals;
  const { target, align, shape } = options;
  const source = await sourceOf(model, io);
  const settings = { ...present({ target, align, shapes: shape }), signal: io.signal };
  const explanation = await engine.explainNode(source, node, settings).catch(async (error: unknown) => {
    if (!(error instanceof PruneCompileError) || error.code !== 'E-NODE-UNKNOWN') throw error;
    throw unknownNode(model, node, await engine.nodeLabels(source), error);
  });
  await writeTo(
    io.stdout,
    options.json === true
      ? renderJson({ schema: REPORT_SCHEMA, model: nameOf(model), ...explanation })
      : renderExplanation(explanation),
  );
}

function unknownNode(model: string, node: string, labels: readonly string[], cause: unknown): PruneCompileError {
  const near = nearestPaths(node, labels);
  return new PruneCompileError('E-NODE-UNKNOWN', {
    what: `${nameOf(model)} has no node ${node}`,
    facts: [
      ...near.map((label, index) => [index === 0 ? 'nearest' : '', label] as const),
      [
        'try',
        near[0] === undefined
          ? `prune-compile inspect ${shellWord(model)}`
          : `prune-compile why ${shellWord(model)} ${shellWord(near[0])}`,
      ],
    ],
    cause,
  });
}
