/**
 * Files that PyTorch itself wrote: everything in them, element for element, or the refusal that
 * belongs to them.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readMaskFile } from '../../src/masks/read.js';
import { failureOf } from '../onnx/failure.js';
import { REAL_FILES } from '../support/real-models.js';
import { factsOf, manifest, pathOf, tensorsIn } from './manifest.js';

const listed = manifest(/torch|pickle|empty/);
const readable = listed.filter(({ expect: expected }) => expected.startsWith('ok'));

/**
 * Checkpoints whose listed names are those inside `state_dict`; what else they hold is not listed.
 */
const NESTED = ['s_resnet10.ln0.lightning.ckpt', 's_resnet10.ln0.imagenet_example.pth.tar'];

const REFUSED: Readonly<Record<string, { code: string; text: RegExp }>> = {
  'evil.pt': { code: 'E-MASK-UNSAFE', text: /posix\.system/ },
  'evil.legacy.pth': { code: 'E-MASK-UNSAFE', text: /posix\.system/ },
  'evil_builtins.pkl': { code: 'E-MASK-UNSAFE', text: /builtins\.eval/ },
  'plain_pickle.pkl': { code: 'E-MASK-FORMAT', text: /torch\.save/ },
  'whole_module.pt': { code: 'E-MASK-UNSAFE', text: /state_dict/ },
  'truncated.pt': { code: 'E-MASK-DAMAGED', text: /list of entries/ },
  'truncated.legacy.pth': { code: 'E-MASK-DAMAGED', text: /cut off/ },
  'empty.pt': { code: 'E-MASK-FORMAT', text: /empty/ },
  'bad_crc.pt': { code: 'E-MASK-DAMAGED', text: /checksum/ },
};

describe('files of PyTorch', () => {
  test.each(readable)('$file', (file) => {
    const found = tensorsIn(readMaskFile(pathOf(file)).root);
    const names = NESTED.includes(file.file)
      ? [...found.keys()].filter((name) => name.startsWith('state_dict/'))
      : [...found.keys()];
    const facts = Object.fromEntries(
      names.map((name) => {
        const tensor = found.get(name);
        return [name.replace('state_dict/', ''), tensor === undefined ? undefined : factsOf(tensor)];
      }),
    );
    expect(facts).toEqual(file.tensors);
  });

  test.each(listed.filter((file) => !readable.includes(file)))('$file is refused', (file) => {
    const { code, what, facts } = failureOf(() => readMaskFile(pathOf(file)));
    const expected = REFUSED[file.file];
    expect(code).toBe(expected?.code);
    expect([what, ...facts].join('\n')).toMatch(expected?.text ?? /^$/);
  });

  const checkpoints = ['torch-prune', 'nni'].flatMap((folder) =>
    readdirSync(`${REAL_FILES}/masks/${folder}`)
      .filter((name) => !name.endsWith('.onnx'))
      .map((name) => `${folder}/${name}`),
  );

  test.each(checkpoints)('%s: masks of 0 and 1 beside their weights', (name) => {
    const found = tensorsIn(readMaskFile(`${REAL_FILES}/masks/${name}`).root);
    const masks = [...found].filter(([key]) => /(_mask$|^.*\/weight$)/.test(key));
    expect(masks.length).toBeGreaterThan(0);
    for (const [, mask] of masks) {
      const values = new Set(mask.toTensor().numbers());
      expect([...values].filter((value) => value !== 0 && value !== 1)).toEqual([]);
    }
  });
});
