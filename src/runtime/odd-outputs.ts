/**
 * An output called __proto__: onnxruntime-node collects outputs by name in plain objects, which
 * cannot hold it. The model is loaded once more with another name for that output, and whoever runs
 * it does not see that.
 */
import { readFileSync } from 'node:fs';
import type { InferenceSession } from 'onnxruntime-node';
import { byName } from '../names.js';
import { encodeProto } from '../onnx/encode.js';
import { decodeModel } from '../onnx/read.js';

const ODD = '__proto__';

type Load = (model: Uint8Array) => Promise<InferenceSession>;

/**
 * The session itself where all names can be held. `load` makes a session of another model with the
 * same options.
 */
export async function withOddOutputs(
  session: InferenceSession,
  model: string | Uint8Array,
  load: Load,
): Promise<InferenceSession> {
  if (!session.outputNames.includes(ODD)) return session;
  const alias = freshName(session.outputNames);
  let loaded: Promise<InferenceSession> | undefined;
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    inputMetadata: session.inputMetadata,
    outputMetadata: session.outputMetadata,
    // Shape inference asks for every value of a model and runs none: what is never run is not
    // loaded again.
    run: async (feeds: InferenceSession.FeedsType) => {
      const inner = await (loaded ??= load(renamed(model, alias)));
      const results = await inner.run(feeds);
      return byName(Object.entries(results).map(([name, tensor]) => [name === alias ? ODD : name, tensor]));
    },
    release: async () => {
      await (await loaded)?.release();
      await session.release();
    },
    startProfiling: () => session.startProfiling(),
    endProfiling: () => session.endProfiling(),
  };
}

function freshName(taken: readonly string[]): string {
  let name = 'proto';
  while (taken.includes(name)) name += '_';
  return name;
}

function renamed(model: string | Uint8Array, alias: string): Uint8Array {
  const [bytes, label] = typeof model === 'string' ? [readFileSync(model), model] : [model, 'the model'];
  const { graph, ...others } = decodeModel(bytes, label);
  const output = (graph?.output ?? []).map((info) => (info.name === ODD ? { ...info, name: alias } : info));
  const copy = { opType: 'Identity', input: [ODD], output: [alias] };
  return encodeProto({ ...others, graph: { ...graph, output, node: [...(graph?.node ?? []), copy] } });
}
