/** Every model file there is goes through the codec and comes back byte for byte. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeProto } from '../../src/onnx/encode.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { REAL_FILES } from '../support/real-models.js';

const folder = mkdtempSync(join(tmpdir(), 'prune-compile-'));
afterAll(() => rmSync(folder, { recursive: true }));

function modelFiles(): string[] {
  return ['models', 'masks/torch-prune', 'skeletons/models'].flatMap((part) =>
    readdirSync(`${REAL_FILES}/${part}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.onnx'))
      .map((name) => `${part}/${name}`),
  );
}

describe('real models', () => {
  test.each(modelFiles())('%s', (name) => {
    const bytes = readFileSync(`${REAL_FILES}/${name}`);
    const proto = decodeModel(bytes, name);
    // Not toEqual: it compares element by element, in seconds.
    expect(bytes.equals(encodeProto(proto))).toBe(true);

    const data = dataFiles(proto.graph?.initializer ?? []);
    const path = join(folder, basename(name));
    copyFileSync(`${REAL_FILES}/${name}`, path);
    // Weights left out of the skeletons: a file of their size without contents, which takes no
    // space.
    for (const [file, size] of data) {
      writeFileSync(join(folder, file), '');
      truncateSync(join(folder, file), size);
    }
    const model = readModel(path);
    expect(model.graph.nodes.length).toBeGreaterThan(0);
    expect(model.hasExternalData).toBe(data.size > 0);
    if (data.size > 0) return;
    // A quantizer leaves types of values behind that are gone; those are not written again.
    const { graph } = proto;
    const valueInfo = graph?.valueInfo?.filter((entry) => model.graph.values.has(entry.name ?? ''));
    if (graph !== undefined && valueInfo?.length !== graph.valueInfo?.length) graph.valueInfo = valueInfo ?? [];
    expect(Buffer.compare(encodeModel(model), encodeProto(proto))).toBe(0);
  });
});

function dataFiles(
  tensors: readonly { externalData?: readonly { key?: string; value?: string }[] }[],
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { externalData = [] } of tensors) {
    const said = new Map(externalData.map(({ key, value }) => [key, value ?? '']));
    const file = said.get('location');
    const end = Number(said.get('offset')) + Number(said.get('length'));
    if (file !== undefined) sizes.set(file, Math.max(sizes.get(file) ?? 0, end));
  }
  return sizes;
}
