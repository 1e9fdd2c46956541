/**
 * Small networks around one operator: a layer with dead filters, the operator, a layer that reads
 * what it makes.
 */
import { graphBuilder, type ConvOptions, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { compileModel } from '../../src/compile.js';
import { readModel } from '../../src/onnx/read.js';
import { verifyModels } from '../../src/verify/verify.js';

/** What dead filters give: their bias, or 0. */
export const MEANINGS = ['zero', 'drop'] as const;
export type Meaning = (typeof MEANINGS)[number];

export interface Layer extends ConvOptions {
  readonly out: number;
  /** Channels of what it reads, of one group. */
  readonly from: number;
  readonly size?: number;
  /** Filters without weights. */
  readonly dead?: readonly number[];
  readonly meaning?: Meaning;
  readonly name: string;
}

/** A convolution with a bias. */
export function layer(g: GraphBuilder, x: string, { out, from, size = 1, dead = [], meaning, ...options }: Layer) {
  const dims = [out, from, size, size];
  const perFilter = from * size * size;
  const data = normals(5, options.name, out * perFilter);
  const bias = normals(6, options.name, out);
  for (const filter of dead) {
    data.fill(0, filter * perFilter, (filter + 1) * perFilter);
    if (meaning === 'drop') bias[filter] = 0;
  }
  return g.conv(x, { data, dims }, { bias: { data: bias }, ...options });
}

export interface Outcome {
  readonly equal: boolean;
  /** Filters of all layers that went. */
  readonly removed: number;
  readonly changesAgain: boolean;
  readonly bytes: Uint8Array;
}

/** Compiles without rounding of widths, and runs both models at each of the sizes. */
export async function compileRow(
  build: (g: GraphBuilder) => void,
  {
    opset = 17,
    sizes = [undefined],
  }: { opset?: number; sizes?: readonly (Record<string, number[]> | undefined)[] } = {},
): Promise<Outcome> {
  const g = graphBuilder({ opset });
  build(g);
  const bytes = g.bytes();
  const compiled = await compileModel(bytes, { align: 1 });
  const output = compiled.encode();
  let equal = true;
  for (const shapes of sizes)
    equal &&= (await verifyModels(bytes, output, { seeds: [1, 2], ...(shapes && { shapes }) })).equal;
  const { report } = await compileModel(output, { align: 1 });
  return { equal, removed: filters(bytes) - filters(output), changesAgain: report.changed, bytes: output };
}

/** Of all layers; not those of convolutions that the compiler added. */
function filters(bytes: Uint8Array): number {
  let total = 0;
  for (const node of readModel(bytes).graph.nodes) {
    const dims = node.inputs[1]?.initializer?.dims ?? [];
    if (node.origin !== undefined) continue;
    if (node.opType === 'Conv') total += dims[0] ?? 0;
    else if (node.opType === 'ConvTranspose') total += (dims[1] ?? 0) * node.int('group', 1);
  }
  return total;
}
