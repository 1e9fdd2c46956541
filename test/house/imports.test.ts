/**
 * Imports go one way, and some things are said in one place only. docs/ARCHITECTURE.md tells why;
 * here it is enforced.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { operators } from '../../src/ops/registry.js';
import { findCycle, sourceFiles, unitOf } from './sources.js';

interface Direction {
  /** Units whose code may be imported. */
  readonly uses: readonly string[];
  /** Units of which only types may be imported. */
  readonly types?: readonly string[];
}

/**
 * In reading order: bytes -> graph -> what is known of it -> channels -> edits -> bytes, then what
 * judges the result, then who tells it.
 */
const DIRECTION: Readonly<Record<string, Direction>> = {
  // Objects keyed by names of models and files.
  names: { uses: [] },
  // How text from outside is shown.
  printable: { uses: ['names'] },
  errors: { uses: ['printable'] },
  version: { uses: [] },
  // "Did you mean": for whoever words an error.
  nearest: { uses: [] },
  // Where files that are written go, and how they get there.
  files: { uses: ['errors'] },
  ir: { uses: ['errors'] },
  onnx: { uses: ['ir', 'files', 'errors'] },
  // What is known of each operator.
  ops: { uses: ['ir'] },
  // Mask files, and which weight each mask is for.
  masks: { uses: ['onnx', 'ir', 'nearest', 'errors'] },
  // Sessions, input generation and evaluation of constant subgraphs: below graph-info, which folds
  // and infers with it.
  runtime: { uses: ['onnx', 'ir', 'names', 'version', 'errors'] },
  // Shapes and constants: what is known of a graph before any rule is asked.
  'graph-info': { uses: ['ops', 'runtime', 'onnx', 'ir', 'names', 'errors'] },
  // What CUDA needs, into the cache of the user: wheels are zip archives.
  cuda: { uses: ['masks', 'runtime', 'files', 'errors'] },
  // What widths and sparse operators cost, and on which machine.
  cost: { uses: ['runtime', 'nearest', 'errors'] },
  // Which channels are constant, demanded, coupled, and which can go.
  channels: { uses: ['graph-info', 'ops', 'ir', 'errors'], types: ['cost'] },
  // Counts for the report: parameters, MACs, zeros, and what nobody looked at.
  figures: { uses: ['graph-info', 'ops', 'onnx', 'ir', 'errors'] },
  passes: { uses: ['channels', 'cost', 'graph-info', 'ops', 'ir'], types: ['onnx'] },
  // What is inside of If, Loop and Scan, as a model of its own.
  subgraph: { uses: ['onnx', 'errors'], types: ['passes', 'ir'] },
  // Which passes, in which order, until when.
  pipeline: { uses: ['passes', 'subgraph', 'channels', 'cost', 'graph-info', 'runtime', 'onnx', 'ir', 'errors'] },
  // What is left of the original weights, for whoever goes on training.
  retraining: { uses: ['ops', 'masks', 'onnx', 'ir', 'version', 'errors'], types: ['graph-info'] },
  // Masks bound to a model and applied, before anything is compiled.
  masking: {
    uses: ['channels', 'graph-info', 'masks', 'ops', 'onnx', 'ir', 'nearest', 'errors'],
    types: ['verify'],
  },
  compile: {
    uses: [
      'retraining',
      'masking',
      'pipeline',
      'figures',
      'cost',
      'graph-info',
      'runtime',
      'onnx',
      'ir',
      'files',
      'names',
      'report',
      'version',
      'errors',
    ],
    types: ['passes', 'verify'],
  },
  // The cost table of a machine: compiled samples under the benchmark's clock.
  calibrate: { uses: ['compile', 'bench', 'cost', 'runtime', 'onnx', 'ir', 'errors'] },
  doctor: { uses: ['bench', 'cost', 'runtime', 'version', 'errors'] },
  // Two questions about a model that compile nothing.
  inspect: {
    uses: ['masking', 'pipeline', 'passes', 'figures', 'channels', 'ops', 'onnx', 'ir'],
    types: ['cost'],
  },
  why: { uses: ['masking', 'pipeline', 'channels', 'onnx', 'printable', 'errors'], types: ['ir'] },
  // Makes masks, and asks the passes beforehand what could go with them.
  'mask-maker': {
    uses: [
      'pipeline',
      'masking',
      'figures',
      'channels',
      'graph-info',
      'ops',
      'masks',
      'runtime',
      'nearest',
      'onnx',
      'ir',
      'files',
      'version',
      'errors',
    ],
    types: ['passes'],
  },
  // The judges know nothing of how a model was compiled: only so can they be believed.
  verify: { uses: ['runtime', 'onnx', 'ir', 'names', 'version', 'errors'] },
  bench: { uses: ['runtime', 'onnx', 'ir', 'names', 'version', 'errors'] },
  // Real data for the judges: read from files, made to fit a model, and how often models are right.
  samples: { uses: ['verify', 'masks', 'runtime', 'onnx', 'ir', 'names', 'errors'] },
  // A dense model in codes of eight bits: a yardstick, not what pruned models become.
  quantise: { uses: ['runtime', 'onnx', 'ir', 'names', 'errors'] },
  // The points of a grid as data, and what they say together.
  exploration: { uses: ['mask-maker', 'errors'], types: ['bench', 'runtime'] },
  // Points of a grid through all of it: masks, compiler, judges.
  explore: {
    uses: [
      'exploration',
      'compile',
      'mask-maker',
      'verify',
      'bench',
      'quantise',
      'runtime',
      'onnx',
      'version',
      'errors',
    ],
  },
  // Renderers are pure functions of results; of bench and masks they use how those word theirs.
  report: {
    uses: ['bench', 'masks', 'printable', 'version'],
    types: [
      'exploration',
      'samples',
      'inspect',
      'why',
      'doctor',
      'cuda',
      'mask-maker',
      'masking',
      'figures',
      'passes',
      'cost',
      'runtime',
      'verify',
    ],
  },
  cli: {
    uses: [
      'compile',
      'retraining',
      'names',
      'nearest',
      'inspect',
      'why',
      'doctor',
      'cuda',
      'calibrate',
      'mask-maker',
      'verify',
      'bench',
      'samples',
      'exploration',
      'explore',
      'report',
      'runtime',
      'onnx',
      'version',
      'printable',
      'files',
      'errors',
    ],
    types: ['masking', 'passes'],
  },
  index: {
    uses: [
      'compile',
      'retraining',
      'inspect',
      'why',
      'doctor',
      'calibrate',
      'mask-maker',
      'verify',
      'bench',
      'samples',
      'exploration',
      'explore',
      'report',
      'version',
      'runtime',
      'errors',
    ],
    types: ['masking', 'figures', 'passes', 'cost', 'onnx'],
  },
  // Builders of models and files: no compiler inside, or they would share its mistakes.
  'fixtures/real': { uses: [] },
  'fixtures/networks': { uses: ['onnx', 'ir'] },
  'fixtures/mask-files': { uses: ['fixtures/networks', 'ir'] },
};

/**
 * Folders of programs: they use whatever they run or measure. No builder imports them, for no
 * direction names them.
 */
const PROGRAMS = new Set(['fixtures/benchmarks', 'fixtures/tools']);

const MOST_LINES = 400;

const code = sourceFiles(['src', 'passes', 'fixtures']);
const tests = sourceFiles(['test']);

describe('imports', () => {
  test('every unit has its place in the direction', () => {
    const units = new Set(code.map(({ path }) => unitOf(path)));
    expect([...units].filter((unit) => DIRECTION[unit] === undefined && !PROGRAMS.has(unit))).toEqual([]);
  });

  test('the direction itself has no cycle', () => {
    const edges = Object.entries(DIRECTION).flatMap(([from, { uses, types = [] }]) =>
      [...uses, ...types].map((to) => ({ from, to, isTypeOnly: false })),
    );
    expect(findCycle(edges)).toBeUndefined();
  });

  test('imports go one way', () => {
    const wrong = code.flatMap(({ path, imports }) => {
      const from = unitOf(path);
      const direction = DIRECTION[from];
      if (direction === undefined || PROGRAMS.has(from)) return [];
      return imports
        .filter(({ to, isTypeOnly }) => {
          const unit = unitOf(to);
          const isAllowed = direction.uses.includes(unit) || (isTypeOnly && direction.types?.includes(unit) === true);
          return unit !== from && !isAllowed;
        })
        .map(({ to, isTypeOnly }) => `${path} -> ${to}${isTypeOnly ? ' (types)' : ''}`);
    });
    expect(wrong).toEqual([]);
  });

  test('no cycle between files, of types neither', () => {
    expect(findCycle([...code, ...tests].flatMap((file) => file.imports))).toBeUndefined();
  });

  test('nothing imports tests', () => {
    expect(code.flatMap(({ imports }) => imports).filter(({ to }) => unitOf(to) === 'test')).toEqual([]);
  });

  test('only src/onnx knows protobuf', () => {
    const outside = [...code].filter(
      ({ path, text }) => !path.startsWith('src/onnx/') && /from '(protobufjs|onnx-proto|long)'/.test(text),
    );
    expect(outside.map(({ path }) => path)).toEqual([]);
  });

  test('only src/runtime talks to ONNX Runtime', () => {
    const outside = code.filter(({ text }) => /^import (?!type).*from 'onnxruntime-node'/m.test(text));
    // The check of random networks judges what src/runtime makes of feeds, and brings its own.
    const allowed = ['src/runtime/', 'fixtures/tools/fuzz/check.ts'];
    const wrong = outside.filter(({ path }) => !allowed.some((place) => path.startsWith(place)));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

describe('house rules', () => {
  test('what an operator means is said in src/ops, passes and verify only', () => {
    const named = code
      .filter(({ path }) => path.startsWith('src/') && !/^src\/(ops|verify)\//.test(path))
      .map(({ path, text }) => [path, operatorNames(text).join(' ')] as const)
      .filter(([, names]) => names !== '');
    expect(new Map(named)).toEqual(KNOWN_OPERATORS);
  });

  test('comparisons, lists, sets and tables name operators, nodes that are written do not', () => {
    const text = (line: string) => operatorNames(`${line}\n// 'Conv'`);
    expect(text("node.opType === 'Relu'")).toEqual(['Relu']);
    expect(text("new Set(['Cast', 'Identity'])")).toEqual(['Cast', 'Identity']);
    expect(text('({ Shape: (node) => 1, Gather(node) { return 2; } })')).toEqual(['Gather', 'Shape']);
    expect(text("switch (opType) { case 'Gemm': }")).toEqual(['Gemm']);
    expect(text("({ opType: 'Identity', kind: 'Constant' })")).toEqual([]);
  });

  test('no name that the compiler gives is looked for again: things are linked by fields', () => {
    const given = code
      .filter(({ path }) => path.startsWith('passes/'))
      .flatMap(({ text }) => [...text.matchAll(/\}(_[a-z_]+)`/g)].map(([, suffix = '']) => suffix));
    expect(given).toContain('_sparse');
    // Exporters name the bias of a folded normalisation so.
    const suffixes = given.filter((suffix) => suffix !== '_bias');
    const looksFor = (text: string, suffix: string) =>
      new RegExp(
        `(endsWith|includes|indexOf|startsWith|findNode)\\([^)]*${suffix}\\b|/[^/\n]*${suffix}\\b[^/\n]*\\$/`,
      ).test(text);
    const wrong = code
      .filter(({ path }) => !path.startsWith('fixtures/'))
      .flatMap(({ path, text }) =>
        suffixes.filter((suffix) => looksFor(text, suffix)).map((suffix) => `${path}: ${suffix}`),
      );
    expect(wrong).toEqual([]);
  });

  test('no default exports', () => {
    const wrong = [...code, ...tests].filter(
      ({ path, text }) => !path.endsWith('.d.ts') && /^export default/m.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test(`no file has more than ${MOST_LINES} lines`, () => {
    const long = [...code, ...tests].map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
    expect(long.filter(({ lines }) => lines > MOST_LINES)).toEqual([]);
  });

  test('no file is a drawer for everything', () => {
    expect([...code, ...tests].filter(({ path }) => /\b(utils?|helpers?|misc|common)\.ts$/.test(path))).toEqual([]);
  });

  test('relative imports end in .js', () => {
    const wrong = [...code, ...tests].flatMap(({ path, text }) =>
      [...text.matchAll(/from '(\.[^']+)'/g)]
        .filter(([, target = '']) => !/\.(js|mjs)$/.test(target))
        .map(([line]) => `${path}: ${line}`),
    );
    expect(wrong).toEqual([]);
  });

  test('fixtures/README.md has a line for every file and folder of its rooms', () => {
    const page = readFileSync(new URL('../../fixtures/README.md', import.meta.url), 'utf8');
    const listed = new Set([...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name));
    const there = code.filter(({ path }) => path.startsWith('fixtures/')).map(({ path }) => path.split('/')[2] ?? path);
    expect(there.filter((name) => !listed.has(name))).toEqual([]);
    const missing = [...listed].filter((name = '') => name.endsWith('.ts') && !there.includes(name));
    expect(missing).toEqual([]);
  });

  test('the project speaks of itself alone', () => {
    const wrong = code.filter(({ text }) => /\/work\/|\.\.\/shared|registry\.npmjs/.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

/** A reason for each file. */
const KNOWN_OPERATORS: ReadonlyMap<string, string> = new Map([
  // Below src/ops, all of src/runtime: sessions know nothing of the compiler, and say for
  // themselves which kernels crash.
  ['src/runtime/extents.ts', 'InstanceNormalization Shape Size'],
  ['src/runtime/run-limit.ts', 'Loop'],
  // A judge: its dense filling of weights may not share the compiler's mistakes.
  ['src/bench/dense.ts', 'Cast Conv ConvTranspose Gemm Identity MatMul Mul Reshape Transpose'],
  // A model that it builds; a word for people.
  ['src/calibrate/models.ts', 'Abs Conv GlobalAveragePool MatMul'],
  ['src/report/doctor.ts', 'MatMul'],
  // A yardstick as another tool would make it.
  ['src/quantise/quantize.ts', 'Add Conv Flatten Gemm GlobalAveragePool MaxPool Relu'],
]);

const KNOWN_TYPES: ReadonlySet<string> = new Set(operators.map(({ type }) => type));

/**
 * Operators that the text names, in comparisons, lists and tables alike: literals and keys of
 * objects. Types of nodes that it writes (`opType: 'Identity'`) are none. Constant is free: it is
 * how a graph writes a tensor down.
 */
function operatorNames(text: string): string[] {
  const bare = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '').replaceAll(/\bopType: '\w+'/g, '');
  const named = [...bare.matchAll(/'(\w+)'|\b([A-Z]\w+)(?=:\s|\()/g)].map(([, literal, key]) => literal ?? key ?? '');
  return [...new Set(named.filter((name) => KNOWN_TYPES.has(name) && name !== 'Constant'))].toSorted();
}
