/**
 * `doctor --get cuda` with small wheels of the test's own: what is unpacked, checked, linked and
 * removed, and that a failure leaves nothing.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Catalogue, CATALOGUE, pipArguments, type Wheel } from '../../src/cuda/catalogue.js';
import { getCuda, planCuda, removeCuda } from '../../src/cuda/get.js';
import { linkProviders } from '../../src/cuda/links.js';
import { writeZip, type ZipContent } from '../../src/masks/formats/zip-writer.js';
import { runtimeVersion } from '../../src/runtime/session.js';

const text = (name: string, content: string): ZipContent => ({ name, data: Buffer.from(content) });

interface Place {
  readonly catalogue: Catalogue;
  readonly wheels: string;
  readonly cache: string;
  readonly folder: string;
  readonly beside: string;
}

/** Two wheels in a folder, an empty cache, and a folder that stands for the runtime's. */
function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'prune-compile-test-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const at = (name: string) => join(root, name);
  for (const name of ['wheels', 'beside']) mkdirSync(at(name));
  const wheel = (project: string, contents: readonly ZipContent[], more: Pick<Wheel, 'from' | 'to' | 'libraries'>) => {
    const bytes = writeZip(contents);
    const file = `${project}-1-py3-none-any.whl`;
    writeFileSync(join(at('wheels'), file), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { project, version: '1', file, sizeBytes: bytes.length, sha256, unpackedBytes: 100, ...more };
  };
  const provider = wheel(
    'runtime',
    [
      text('ort/capi/libprovider.so', 'the provider'),
      text('ort/capi/other.so', 'not wanted'),
      text('ort/LICENSE', 'A'),
    ],
    { from: 'ort/capi', to: 'provider', libraries: ['libprovider.so'] },
  );
  const cuda = wheel(
    'cuda',
    [text('nv/lib/libcuda.so', 'the library'), text('cuda-1.dist-info/licenses/License.txt', 'terms of its maker')],
    { from: 'nv/lib', to: 'lib', libraries: ['libcuda.so'] },
  );
  const catalogue = { runtime: runtimeVersion(), wheels: [provider, cuda] };
  return { catalogue, wheels: at('wheels'), cache: at('cache/cuda'), folder: at('cache/cuda/1'), beside: at('beside') };
}

const listed = (folder: string) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();

describe('from a folder of wheels', () => {
  test('libraries and licences go into the cache, and the provider is linked beside the runtime', async () => {
    const here = place();
    const gotten = await getCuda(here);
    expect(listed(here.folder)).toEqual([
      'contents.json',
      'lib',
      'lib/libcuda.so',
      'licences',
      'licences/cuda',
      'licences/cuda/cuda-1.dist-info-licenses-License.txt',
      'licences/runtime',
      'licences/runtime/ort-LICENSE',
      'provider',
      'provider/libprovider.so',
    ]);
    const link = join(here.beside, 'libprovider.so');
    expect(readFileSync(link, 'utf8')).toBe('the provider');
    expect(gotten).toMatchObject({ folder: here.folder, wasThere: false, linked: [link], kept: [] });
    // Nothing is left beside the result, and the wheels stay the user's.
    expect(readdirSync(here.cache)).toEqual(['1']);
    expect(readdirSync(here.wheels)).toHaveLength(2);
  });

  test('a second time it is there, unless a file of it is gone or cut off', async () => {
    const here = place();
    await getCuda(here);
    expect(planCuda(here).isThere).toBe(true);
    expect((await getCuda({ ...here, wheels: join(here.wheels, 'none') })).wasThere).toBe(true);
    writeFileSync(join(here.folder, 'lib/libcuda.so'), 'cut');
    expect(planCuda(here).isThere).toBe(false);
    expect((await getCuda(here)).wasThere).toBe(false);
    expect(readFileSync(join(here.folder, 'lib/libcuda.so'), 'utf8')).toBe('the library');
  });

  test('all wheels that are missing or changed are named, and nothing is left', async () => {
    const here = place();
    const [first, second] = here.catalogue.wheels;
    const path = join(here.wheels, first?.file ?? '');
    const bytes = readFileSync(path);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    rmSync(join(here.wheels, second?.file ?? ''));
    await expect(getCuda(here)).rejects.toMatchObject({
      code: 'E-WHEELS',
      exitCode: 2,
      facts: [
        [
          'why',
          expect.stringMatching(/^the SHA-256 of runtime-1\S+ is \w{64} instead of \w{64}; cuda-1\S+ is not there$/),
        ],
        ['try', expect.any(String)],
      ],
    });
    writeFileSync(path, 'short');
    await expect(getCuda(here)).rejects.toMatchObject({
      facts: [['why', expect.stringContaining('has 5 bytes instead of')], expect.anything()],
    });
    expect(readdirSync(here.cache)).toEqual([]);
    expect(readdirSync(here.beside)).toEqual([]);
  });

  test('a wheel without what it is listed with is an error, and nothing is left', async () => {
    const here = place();
    const wheels = here.catalogue.wheels.map((wheel) => ({ ...wheel, libraries: ['libother.so'] }));
    await expect(getCuda({ ...here, catalogue: { ...here.catalogue, wheels } })).rejects.toMatchObject({
      code: 'E-WHEELS',
      facts: [['why', 'it has no ort/capi/libother.so'], expect.anything()],
    });
    expect(readdirSync(here.cache)).toEqual([]);
  });

  test('more than the disk has room for is refused before anything is written', async () => {
    const here = place();
    const wheels = here.catalogue.wheels.map((wheel) => ({ ...wheel, unpackedBytes: 1e18 }));
    await expect(getCuda({ ...here, catalogue: { ...here.catalogue, wheels } })).rejects.toMatchObject({
      code: 'E-OUTPUT-UNWRITABLE',
      facts: expect.arrayContaining([['why', expect.stringMatching(/needs \d+\.0 GB and \d+\.\d GB are free/)]]),
    });
    expect(readdirSync(here.cache)).toEqual([]);
  });

  test('an end by a signal leaves nothing', async () => {
    const here = place();
    const signal = AbortSignal.abort(new Error('interrupted'));
    await expect(getCuda({ ...here, signal })).rejects.toThrow('interrupted');
    expect(readdirSync(here.cache)).toEqual([]);
  });

  test('of another version of ONNX Runtime they are refused', () => {
    const here = place();
    expect(() => planCuda({ catalogue: { ...here.catalogue, runtime: '0.1.0' } })).toThrow(
      expect.objectContaining({
        code: 'E-WHEELS',
        facts: [['why', expect.stringContaining('belong to ONNX Runtime 0.1.0')], expect.anything()],
      }),
    );
  });
});

describe('downloaded', () => {
  /** A program in the place of Python: what pip would do with these arguments. */
  const python = (here: Place, script: string): string => {
    const path = join(dirname(here.wheels), 'python');
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  };

  test('by pip, into the folder that is named; the wheels do not stay', async () => {
    const here = place();
    const script = [
      'case "$*" in *"runtime==1 cuda==1"*) ;; *) exit 3 ;; esac',
      'while [ "$1" != --dest ]; do shift; done',
      `mkdir -p "$2" && cp "${here.wheels}"/* "$2"`,
    ].join('\n');
    const { wheels: _wheels, ...rest } = here;
    const gotten = await getCuda({ ...rest, python: python(here, script) });
    expect(gotten.files.map(({ path }) => path)).toContain('lib/libcuda.so');
    expect(readdirSync(here.cache)).toEqual(['1']);
    expect(listed(here.folder).filter((name) => name.endsWith('.whl'))).toEqual([]);
  });

  test.each([
    ['echo "ERROR: no matching distribution" >&2; exit 1', /^no matching distribution$/],
    ['exit 7', /^pip says nothing$/],
  ])('what pip says is told: %s', async (script, why) => {
    const here = place();
    const { wheels: _wheels, ...rest } = here;
    await expect(getCuda({ ...rest, python: python(here, script) })).rejects.toMatchObject({
      code: 'E-WHEELS',
      facts: [
        ['why', expect.stringMatching(why)],
        ['try', expect.stringContaining('--wheels DIR')],
      ],
    });
    expect(readdirSync(here.cache)).toEqual([]);
  });

  test('without Python the other way is told', async () => {
    const here = place();
    const { wheels: _wheels, ...rest } = here;
    await expect(getCuda({ ...rest, python: join(here.beside, 'none') })).rejects.toMatchObject({
      facts: [['why', expect.stringContaining('cannot be run')], expect.anything()],
    });
  });
});

describe('links', () => {
  test('what was installed there stays, and is not removed later', async () => {
    const here = place();
    const installed = join(here.beside, 'libprovider.so');
    writeFileSync(installed, 'installed');
    expect(await getCuda(here)).toMatchObject({ linked: [], kept: [installed] });
    expect(removeCuda(here.cache, here.beside)).toEqual({ folder: here.cache, wasThere: true, unlinked: [] });
    expect(readFileSync(installed, 'utf8')).toBe('installed');
  });

  test('a link to an earlier version is replaced', async () => {
    const here = place();
    const link = join(here.beside, 'libprovider.so');
    symlinkSync(join(here.cache, '0/provider/libprovider.so'), link);
    await getCuda(here);
    expect(readlinkSync(link)).toBe(join(here.folder, 'provider/libprovider.so'));
    rmSync(link);
    expect(linkProviders(here.folder, here.beside).linked).toEqual([link]);
  });

  test('--remove takes the cache and the links into it, and only these; twice is no error', async () => {
    const here = place();
    await getCuda(here);
    const [link, foreign] = [join(here.beside, 'libprovider.so'), join(here.beside, 'foreign.so')];
    symlinkSync('/elsewhere/foreign.so', foreign);
    expect(removeCuda(here.cache, here.beside)).toEqual({ folder: here.cache, wasThere: true, unlinked: [link] });
    expect([readdirSync(here.beside), lstatSync(foreign).isSymbolicLink()]).toEqual([['foreign.so'], true]);
    expect(removeCuda(here.cache, here.beside)).toEqual({ folder: here.cache, wasThere: false, unlinked: [] });
  });
});

test('the catalogue names each library once, and pip is asked for exactly its versions', () => {
  const libraries = CATALOGUE.wheels.flatMap((wheel) => wheel.libraries);
  expect(new Set(libraries).size).toBe(libraries.length);
  for (const { sha256, file, version } of CATALOGUE.wheels) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(file).toContain(`-${version}-`);
  }
  expect(pipArguments(CATALOGUE, 'wheels').slice(-7, -4)).toEqual(['--dest', 'wheels', 'onnxruntime-gpu==1.30.0']);
});
