/**
 * What is said where an output cannot be written: of the file that was asked for, and what would be
 * lost.
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { ENGINE } from '../../src/cli/engine.js';
import { OutputFiles } from '../../src/cli/output-files.js';
import { unwritable } from '../../src/files/write-files.js';
import { modelFolder, run } from './run-command.js';

const oneLine = (text: string) => text.replace(/\s+/g, ' ');

describe('a disk that is full', () => {
  const wanted = (path: string) => ({ path, kind: 'model', option: '--output' }) as const;
  const full = (staged: string) =>
    Object.assign(new Error(`ENOSPC: no space left on device, write '${staged}'`), {
      code: 'ENOSPC',
      syscall: 'write',
    });

  test.each([
    ['said by Node', (staged: string) => full(staged)],
    ['said by whoever writes models', (staged: string) => unwritable(staged, full(staged))],
  ])('the error names the output and no staging folder, %s', (_, error) => {
    const { at, folder } = modelFolder();
    const before = readdirSync(folder);
    const files = new OutputFiles();
    const write = () =>
      files.write(wanted(at('small.onnx')), (staged) => {
        throw error(staged);
      });
    expect(write).toThrow(
      expect.objectContaining({
        code: 'E-OUTPUT-UNWRITABLE',
        what: `cannot write ${at('small.onnx')}`,
        facts: expect.arrayContaining([['why', `ENOSPC: no space left on device, write '${at('small.onnx')}'`]]),
      }),
    );
    files.discard();
    expect(readdirSync(folder)).toEqual(before);
  });

  test('other errors stay what they are', () => {
    const { at } = modelFolder();
    const files = new OutputFiles();
    const broken = new TypeError('a bug');
    const write = () =>
      files.write(wanted(at('small.onnx')), () => {
        throw broken;
      });
    expect(write).toThrow(broken);
    files.discard();
  });
});

test('an output that is a file with masks would overwrite that', async () => {
  const { at, model } = modelFolder();
  writeFileSync(at('masks.json'), '{}');
  copyFileSync(at('masks.json'), at('map.json'));
  const masks = [model, '-m', at('masks.json'), '--mask-map', at('map.json')];
  const said = async (...words: string[]) => oneLine((await run([...masks, ...words])).stderr);
  const why = 'why what is read is never overwritten';
  expect(await said('-o', at('masks.json'))).toContain(
    `${at('masks.json')} is the file with the masks [E-OUTPUT-IS-INPUT] ${why}`,
  );
  expect(await said('--report', at('map.json'))).toContain(
    `${at('map.json')} is the file given to --mask-map [E-OUTPUT-IS-INPUT] ${why}`,
  );
  expect(readFileSync(at('masks.json'), 'utf8')).toBe('{}');
});

test.each(['-o', '--output', '--report', '-m'])('a value of %s that begins with a dash', async (option) => {
  const { model } = modelFolder();
  const { code, stderr } = await run([model, option, '-x.onnx']);
  const long = { '-o': '--output', '-m': '--masks' }[option] ?? option;
  expect([code, oneLine(stderr)]).toEqual([
    2,
    `prune-compile: ${option} has no value, and there is no option -x.onnx [E-USAGE] try ${long}=-x.onnx, where that is the value: it begins with a dash `,
  ]);
});

test.each(['verify', 'bench', 'compile'])('%s of a model without outputs says so', async (command) => {
  const { model } = modelFolder();
  const g = graphBuilder();
  g.relu(g.input('x', [1, 4]));
  writeFileSync(model, g.bytes());
  const words = { verify: ['verify', model, model], bench: ['bench', model], compile: [model] }[command] ?? [];
  const { code, stderr } = await run([...words, '-q'], { engine: ENGINE });
  expect([code, oneLine(stderr)]).toEqual([
    2,
    expect.stringContaining(
      `${basename(model)} is not a valid ONNX graph [E-MODEL-INVALID] why it has no outputs, so there is nothing to compute`,
    ),
  ]);
});
