/** Runs one pass alone on a small graph, twice, and shows the graph as lines. */
import { passes } from '../../passes/index.js';
import type { PassResult } from '../../passes/pass.js';
import { encodeModel } from '../../src/onnx/write.js';
import { readModel } from '../../src/onnx/read.js';
import { passContext } from '../../src/pipeline.js';
import { verifyModels } from '../../src/verify/verify.js';

export interface Ran {
  readonly result: PassResult;
  readonly again: PassResult;
  /** `output = Op(inputs)`, initializers with their dims. */
  readonly lines: readonly string[];
  readonly bytes: Uint8Array;
  readonly isEqual: boolean;
}

export async function runPass(name: string, bytes: Uint8Array, align: number | 'auto' = 1): Promise<Ran> {
  const pass = passes.find((candidate) => candidate.name === name);
  if (pass === undefined) throw new Error(`no pass ${name}`);
  const model = readModel(bytes);
  const context = passContext(model, { align });
  const result = await pass.run(context);
  const again = await pass.run(context);
  const written = encodeModel(model);
  const { equal } = await verifyModels(bytes, written, { seeds: [1] });
  return { result, again, lines: show(written), bytes: written, isEqual: equal };
}

export function show(bytes: Uint8Array): string[] {
  const { graph } = readModel(bytes);
  return graph.nodes.map((node) => {
    const inputs = node.inputs.map((value) =>
      value === undefined
        ? '-'
        : value.initializer === undefined
          ? value.name
          : `${value.name}[${value.initializer.dims.join(',')}]`,
    );
    return `${node.outputs.map((value) => value?.name ?? '-').join(', ')} = ${node.opType}(${inputs.join(', ')})`;
  });
}
