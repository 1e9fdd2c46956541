/** A network of codes, compiled and compared with itself. */
import { expect } from 'vitest';
import { graphBuilder, type GraphBuilder } from '../../fixtures/networks/graph-builder.js';
import { compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';

export type Build = (g: GraphBuilder) => void;

const TO_THE_BIT = "equal to the bit in ONNX Runtime's integer kernels, whose sums are exact";

export interface Outcome {
  readonly equal: boolean;
  readonly toTheBit: boolean;
  readonly removed: number;
  readonly remarks: string;
  readonly bytes: Uint8Array;
}

/** A second run changes nothing. */
export async function compiled(build: Build, opset = 17): Promise<Outcome> {
  const g = graphBuilder({ opset });
  build(g);
  const bytes = g.bytes();
  const { report, encode } = await compileModel(bytes, { align: 1 });
  const output = encode();
  const { equal, notes } = await verifyModels(bytes, output, { seeds: [1, 2] });
  const again = await compileModel(output, { align: 1 });
  expect(again.report.changed).toBe(false);
  return {
    equal,
    toTheBit: notes.includes(TO_THE_BIT),
    removed: report.before.channels - report.after.channels,
    remarks: report.remarks.map(({ message }) => message).join('\n'),
    bytes: output,
  };
}
