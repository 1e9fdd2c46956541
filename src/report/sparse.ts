/**
 * A model with operators of its own does not run everywhere: that is said before anybody deploys
 * it.
 */
import { formatInteger } from './numbers.js';
import type { LayerFigures } from '../figures/figures.js';

/** What it takes to run a model with sparse operators. */
export interface SparseReport {
  /** Those that are sparse operators now. */
  readonly layers: number;
  /** By what these were chosen: which cost table decided, what was measured. */
  readonly decided: readonly string[];
  /** Path of the native library on this machine, whether it is there or not. */
  readonly library: string;
  /** Whether it was there. */
  readonly libraryFound: boolean;
  /**
   * One line of each language that gives ONNX Runtime the operators; `path` in it stands for the
   * library's.
   */
  readonly registration: Readonly<Record<'node' | 'python' | 'cpp' | 'csharp' | 'java', string>>;
}

/**
 * As the bindings of ONNX Runtime 1.18 and newer call it; docs/sparse.md has each with what stands
 * around it.
 */
const REGISTRATION: SparseReport['registration'] = {
  node: "import { createSession } from 'prune-compile'; await createSession(model);",
  python: 'options.register_custom_ops_library(path)',
  cpp: 'options.RegisterCustomOpsLibrary(path);',
  csharp: 'options.RegisterCustomOpLibrary(path);',
  java: 'options.registerCustomOpLibrary(path);',
};

const LANGUAGES = { node: 'Node', python: 'Python', cpp: 'C++', csharp: 'C#', java: 'Java' } as const;

export function sparseReport(
  layers: number,
  decided: readonly string[],
  { path, isFound }: { path: string; isFound: boolean },
): SparseReport {
  return { layers, decided, library: path, libraryFound: isFound, registration: REGISTRATION };
}

/** Where the model runs, and how its operators were chosen. */
export function sparseNotes({ layers, decided, libraryFound }: SparseReport): string[] {
  const which = `${formatInteger(layers)} ${layers === 1 ? 'layer is a sparse operator' : 'layers are sparse operators'}`;
  return [
    `${which}: the model needs their native library (docs/sparse.md)`,
    ...(libraryFound ? [] : ['the library is not built on this machine; prune-compile doctor shows how to build it']),
    ...decided,
  ];
}

/** Behind the path: whether it is a file that may be copied, or a place where one will be. */
export function pathNote({ libraryFound }: SparseReport): string {
  return libraryFound ? '' : ' (once it is built)';
}

/** `Conv`, `Conv → sparse` */
export function operatorText({ opType, isSparse }: LayerFigures): string {
  return isSparse === true ? `${opType} → sparse` : opType;
}

/** [language, line] */
export function registrationLines({ registration }: SparseReport): (readonly [string, string])[] {
  return (['node', 'python', 'cpp', 'csharp', 'java'] as const).map(
    (language) => [LANGUAGES[language], registration[language]] as const,
  );
}
