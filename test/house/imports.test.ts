/** Imports go one way, and some things are said in one place only. docs/ARCHITECTURE.md tells why; here it is enforced. */
import { describe, expect, test } from 'vitest';
import { operators } from '../../src/ops/registry.js';
import { findCycle, sourceFiles, unitOf } from './sources.js';

interface Direction {
  /** Units whose code may be imported. */
  readonly uses: readonly string[];
  /** Units of which only types may be imported. */
  readonly types?: readonly string[];
}

/** In reading order: bytes -> graph -> facts -> edits -> bytes, then what judges the result, then who tells it. */
const DIRECTION: Readonly<Record<string, Direction>> = {
  // How text from outside is shown.
  printable: { uses: ['names'] },
  errors: { uses: ['printable'] },
  version: { uses: [] },
  // "Did you mean": for whoever words an error.
  nearest: { uses: [] },
  // Objects keyed by names of models and files.
  names: { uses: [] },
  // Where files that are written go, and how they get there.
  files: { uses: ['errors'] },
  ir: { uses: ['errors'] },
  onnx: { uses: ['ir', 'files', 'errors'] },
  ops: { uses: ['ir'] },
  masks: { uses: ['onnx', 'ir', 'nearest', 'errors'] },
  // Sessions, input generation and evaluation of constant subgraphs: below analysis, which folds and infers with it.
  runtime: { uses: ['onnx', 'ir', 'names', 'version', 'errors'] },
  analysis: { uses: ['ops', 'masks', 'runtime', 'onnx', 'ir', 'names', 'nearest', 'errors'], types: ['report'] },
  passes: { uses: ['analysis', 'ops', 'ir', 'errors'], types: ['onnx', 'report'] },
  // Which passes, in which order, until when.
  pipeline: { uses: ['passes', 'analysis', 'runtime', 'onnx', 'ir', 'errors'], types: ['report'] },
  // What is left of the original weights, for whoever goes on training.
  channels: { uses: ['analysis', 'ops', 'masks', 'onnx', 'ir', 'version', 'errors'] },
  // Masks bound and applied, before anything is compiled.
  'masked-model': {
    uses: ['pipeline', 'analysis', 'masks', 'onnx', 'ir', 'errors', 'nearest'],
    types: ['report', 'verify'],
  },
  compile: {
    uses: [
      'channels',
      'masked-model',
      'pipeline',
      'passes',
      'runtime',
      'names',
      'analysis',
      'masks',
      'onnx',
      'ir',
      'files',
      'report',
      'version',
      'errors',
    ],
    types: ['verify'],
  },
  // The cost table of a machine: compiled samples under the benchmark's clock.
  calibrate: { uses: ['compile', 'bench', 'analysis', 'runtime', 'onnx', 'ir', 'errors'] },
  doctor: { uses: ['bench', 'analysis', 'runtime', 'version', 'errors'] },
  // Two questions about a model that compile nothing.
  inspect: {
    uses: [
      'masked-model',
      'pipeline',
      'passes',
      'analysis',
      'ops',
      'masks',
      'onnx',
      'ir',
      'report',
      'version',
      'errors',
    ],
  },
  why: {
    uses: ['masked-model', 'pipeline', 'passes', 'analysis', 'ops', 'masks', 'onnx', 'ir', 'printable', 'errors'],
    types: ['report'],
  },
  // Makes masks, and asks the passes beforehand what could go with them.
  'mask-maker': {
    uses: ['pipeline', 'analysis', 'ops', 'masks', 'runtime', 'nearest', 'onnx', 'ir', 'files', 'version', 'errors'],
    types: ['report'],
  },
  // The judges know nothing of how a model was compiled: only so can they be believed.
  verify: { uses: ['runtime', 'onnx', 'ir', 'names', 'version', 'errors'], types: ['report'] },
  bench: { uses: ['runtime', 'onnx', 'ir', 'version', 'errors'], types: ['report'] },
  // Renderers are pure functions of report objects; of bench and masks they use how those word their results.
  report: {
    uses: ['bench', 'masks', 'printable', 'version'],
    types: ['inspect', 'why', 'doctor', 'mask-maker', 'runtime', 'verify', 'analysis'],
  },
  cli: {
    uses: [
      'compile',
      'channels',
      'names',
      'nearest',
      'inspect',
      'why',
      'doctor',
      'calibrate',
      'mask-maker',
      'verify',
      'bench',
      'report',
      'masks',
      'runtime',
      'onnx',
      'version',
      'printable',
      'files',
      'errors',
    ],
    types: ['analysis', 'masked-model'],
  },
  index: {
    uses: [
      'compile',
      'channels',
      'inspect',
      'why',
      'doctor',
      'calibrate',
      'mask-maker',
      'verify',
      'bench',
      'report',
      'masks',
      'version',
      'runtime',
      'errors',
    ],
    types: ['masked-model', 'runtime', 'onnx', 'analysis'],
  },
  // Builders of models: no compiler inside, or they would share its mistakes.
  fixtures: { uses: ['onnx', 'ir'] },
};

/** Programs, not builders: they use what the package exports. */
const PROGRAMS = [
  'fixtures/demo.ts',
  'fixtures/bench-compile.ts',
  'fixtures/bench-speed.ts',
  'fixtures/bench-sparse.ts',
  'fixtures/bench-masks.ts',
  'fixtures/fuzz-masks.ts',
  'fixtures/fuzz-models.ts',
  'fixtures/hash-compiled.ts',
  'fixtures/mask-probe.ts',
  'fixtures/accuracy.ts',
  'fixtures/mask-table.ts',
  'fixtures/bench-question.ts',
];
/** What programs share. */
const PROGRAM_PARTS = ['fixtures/bench/', 'fixtures/fuzz/'];

const MOST_LINES = 400;

const code = sourceFiles(['src', 'passes', 'fixtures']);
const tests = sourceFiles(['test']);

describe('imports', () => {
  test('every unit has its place in the direction', () => {
    const units = new Set(code.map(({ path }) => unitOf(path)));
    expect([...units].filter((unit) => DIRECTION[unit] === undefined)).toEqual([]);
  });

  test('the direction itself has no cycle', () => {
    const edges = Object.entries(DIRECTION).flatMap(([from, { uses }]) =>
      uses.map((to) => ({ from, to, isTypeOnly: false })),
    );
    expect(findCycle(edges)).toBeUndefined();
  });

  test('imports go one way', () => {
    const wrong = code.flatMap(({ path, imports }) => {
      const from = unitOf(path);
      const direction = DIRECTION[from];
      if (direction === undefined || PROGRAMS.includes(path) || PROGRAM_PARTS.some((part) => path.startsWith(part)))
        return [];
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

  test('no cycle between files', () => {
    const imports = [...code, ...tests].flatMap((file) => file.imports);
    expect(findCycle(imports.filter(({ isTypeOnly }) => !isTypeOnly))).toBeUndefined();
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
    const allowed = ['src/runtime/', 'fixtures/fuzz/check.ts'];
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

  test('the project speaks of itself alone', () => {
    const wrong = code.filter(({ text }) => /\/work\/|\.\.\/shared|registry\.npmjs/.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

/** A reason for each file. */
const KNOWN_OPERATORS: ReadonlyMap<string, string> = new Map([
  // Below src/ops, all of src/runtime: sessions know nothing of the compiler, and say for themselves which kernels crash.
  ['src/runtime/extents.ts', 'InstanceNormalization Shape Size'],
  ['src/runtime/run-limit.ts', 'Loop'],
  // A judge: its dense filling of weights may not share the compiler's mistakes.
  ['src/bench/dense.ts', 'Cast Conv ConvTranspose Gemm Identity MatMul Mul Reshape Transpose'],
  // A model that it builds; a word for people.
  ['src/calibrate/models.ts', 'Abs Conv GlobalAveragePool MatMul'],
  ['src/report/doctor.ts', 'MatMul'],
]);

const KNOWN_TYPES: ReadonlySet<string> = new Set(operators.map(({ type }) => type));

/**
 * Operators that the text names, in comparisons, lists and tables alike: literals and keys of objects. Types of nodes that it writes
 * (`opType: 'Identity'`) are none. Constant is free: it is how a graph writes a tensor down.
 */
function operatorNames(text: string): string[] {
  const bare = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '').replaceAll(/\bopType: '\w+'/g, '');
  const named = [...bare.matchAll(/'(\w+)'|\b([A-Z]\w+)(?=:\s|\()/g)].map(([, literal, key]) => literal ?? key ?? '');
  return [...new Set(named.filter((name) => KNOWN_TYPES.has(name) && name !== 'Constant'))].toSorted();
}
