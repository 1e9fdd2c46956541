/**
 * docs/masks.md is run: JSON is bound, commands are given to the command and must say what the page
 * says that they say.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals } from '../../fixtures/networks/random.js';
import { ENGINE } from '../../src/cli/engine.js';
import { OPTION_KEYS, shownFlag, SPECS } from '../../src/cli/options.js';
import { compileModel } from '../../src/compile.js';
import { claimsOf } from '../../src/masks/claims.js';
import { bindMasks } from '../../src/masks/bind.js';
import { readMaskBytes } from '../../src/masks/read.js';
import { createSession } from '../../src/runtime/session.js';
import { maskFiles } from '../support/mask-files.js';
import { run } from '../cli/run-command.js';
import { slotsOf } from './bound-masks.js';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/masks.md', import.meta.url)), 'utf8');
const TABLE = readFileSync(fileURLToPath(new URL('../../docs/mask-files.md', import.meta.url)), 'utf8');

/** The network that the page says its examples are for. */
function net(): GraphBuilder {
  const g = graphBuilder();
  const x = g.input('x', ['n', 3, 8, 8]);
  const parameter = (name: string, dims: readonly number[]) => {
    const count = dims.reduce((total, extent) => total * extent, 1);
    g.initializer(name, dims, normals(1, name, count));
    return name;
  };
  const padded = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const first = g.op('Conv', [x, parameter('conv1.weight', [4, 3, 3, 3]), parameter('conv1.bias', [4])], padded, {
    name: '/conv1/Conv',
  });
  const second = g.op('Conv', [g.relu(first), parameter('conv2.weight', [8, 4, 3, 3])], padded, {
    name: '/conv2/Conv',
  });
  const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [g.relu(second)])]);
  const weights = [parameter('fc.weight', [10, 8]), parameter('fc.bias', [10])];
  g.output(g.op('Gemm', [pooled, ...weights], { transB: 1 }, { name: '/fc/Gemm' }));
  return g;
}

function blocks(language: string): { readonly text: string; readonly after: string }[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`\n\n([^\n]*)`, 'gms'))].map(
    ([, text = '', after = '']) => ({ text, after }),
  );
}

const collapsed = (text: string) => text.replaceAll(/\s+/g, ' ').trim();

describe('JSON', () => {
  const examples = blocks('json');

  test('there are examples', () => expect(examples.length).toBeGreaterThan(5));

  test.each(examples)('$text', async ({ text, after }) => {
    const file = readMaskBytes(new TextEncoder().encode(text), 'masks.json');
    const { bindings, unmatched } = bindMasks(claimsOf(file).claims, await slotsOf(net()));
    expect(unmatched).toEqual([]);
    expect(`${bindings.reduce((zeros, { mask }) => zeros + mask.zeros, 0)} zeros`).toBe(/^\d+ zeros/.exec(after)?.[0]);
  });
});

describe('commands', () => {
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), 'prune-compile-docs-'));
  beforeAll(() => {
    process.chdir(folder);
    writeFileSync('net.onnx', net().bytes());
  });
  afterAll(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(blocks('console'))('$text', async ({ text }) => {
    for (const step of text.split(/^\$ /m).slice(1)) {
      const [command = '', ...said] = step.trimEnd().split('\n');
      const [, contents, file] = /^echo '(.*)' > (\S+)$/.exec(command) ?? [];
      if (contents !== undefined && file !== undefined) {
        writeFileSync(file, contents);
        continue;
      }
      expect(command).toMatch(/^prune-compile /);
      expect(said, command).not.toEqual([]);
      const isError = said[0]?.startsWith('prune-compile: ') === true;
      const { code, stdout, stderr } = await run([...command.split(' ').slice(1), '-q'], { engine: ENGINE });
      expect(code, `${command}\n${stderr}`).toBe(isError ? 2 : 0);
      if (isError) expect(collapsed(stderr)).toBe(collapsed(said.join('\n')));
      else for (const line of said) expect(collapsed(stdout)).toContain(collapsed(line));
    }
  });
});

test('every option about masks is there, and every option is one', () => {
  const flags = [...PAGE.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag);
  const known = OPTION_KEYS.map(shownFlag);
  expect(flags.filter((flag) => !known.includes(flag) && flag !== '--help')).toEqual([]);
  const wanted = OPTION_KEYS.filter((key) => SPECS[key].group === 'Masks').map(shownFlag);
  expect(wanted.filter((flag) => !flags.includes(flag))).toEqual([]);
});

test('the numbers of the two meanings', async () => {
  const g = graphBuilder();
  const x = g.input('x', [1, 1, 1, 1]);
  const one = { kernel_shape: [1, 1] };
  g.initializer('first.weight', [2, 1, 1, 1], [2, 3]);
  g.initializer('first.bias', [2], [0, 0.5]);
  g.initializer('second.weight', [1, 2, 1, 1], [1, 4]);
  const first = g.op('Conv', [x, 'first.weight', 'first.bias'], one);
  g.output(g.op('Conv', [g.relu(first), 'second.weight'], one));
  const bytes = g.bytes();
  const rows = { dense: await answer(bytes), zero: await masked('zero'), drop: await masked('drop') };
  const said = [...PAGE.matchAll(/^\| (dense|`zero`|`drop`) \| 2 \| [\d.]+ \| (\d+) \|$/gm)];
  expect(Object.fromEntries(said.map(([, name = '', value]) => [name.replaceAll('`', ''), Number(value)]))).toEqual(
    rows,
  );

  async function masked(meaning: 'zero' | 'drop'): Promise<number> {
    const folder = mkdtempSync(join(tmpdir(), 'prune-compile-docs-'));
    try {
      const masks = join(folder, 'masks.json');
      writeFileSync(masks, '{ "first": { "remove": [1] } }');
      const compiled = await compileModel(bytes, { masks: [masks], meaning, align: 1 });
      expect(compiled.report.after.channels).toBe(2);
      return await answer(compiled.encode());
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
});

test('the table has every file of the collection, and what must be refused is', () => {
  const rows = [...TABLE.matchAll(/^\| `([^`]+)`(?: †)? \|.*\| ([^|]+) \|$/gm)];
  const said = rows.map(([, file = '', result = '']) => [file, /^exit 2, `E-MASK-[A-Z-]+`$/.test(result)]);
  const known = maskFiles(/./);
  expect(said.map(([file]) => file)).toEqual(known.map(({ file }) => file));
  const refused = known.filter(({ expect: wanted }) => wanted === 'refuse').map(({ file }) => file);
  expect(said.filter(([, isRefused]) => isRefused === true).map(([file]) => file)).toEqual(
    expect.arrayContaining(refused),
  );
});

/** For the input 1. */
async function answer(model: Uint8Array): Promise<number> {
  const session = await createSession(model);
  const outputs = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1), [1, 1, 1, 1]) });
  await session.release();
  return Number(outputs[session.outputNames[0] ?? '']?.data[0]);
}
