/** A model with operators of its own does not run everywhere: that is said before anybody deploys it. */
import { formatInteger } from './numbers.js';
import type { SparseReport } from './types.js';

/** As the bindings of ONNX Runtime 1.18 and newer call it; docs/sparse.md has each with what stands around it. */
const REGISTRATION: SparseReport['registration'] = {
  node: "await createSession(model), from 'prune-compile'",
  python: 'options.register_custom_ops_library(path)',
  cpp: 'options.RegisterCustomOpsLibrary(path);',
  csharp: 'options.RegisterCustomOpLibrary(path);',
  java: 'options.registerCustomOpLibrary(path);',
};

const LANGUAGES = { node: 'Node', python: 'Python', cpp: 'C++', csharp: 'C#', java: 'Java' } as const;

export function sparseReport(layers: number, decided: readonly string[], library: string): SparseReport {
  return { layers, decided, library, registration: REGISTRATION };
}

export function sparseNote({ layers }: SparseReport): string {
  const which = `${formatInteger(layers)} ${layers === 1 ? 'layer is a sparse operator' : 'layers are sparse operators'}`;
  return `${which}: the model runs where their library is loaded, see docs/sparse.md`;
}

/** [language, line] */
export function registrationLines({ registration }: SparseReport): (readonly [string, string])[] {
  return (['node', 'python', 'cpp', 'csharp', 'java'] as const).map(
    (language) => [LANGUAGES[language], registration[language]] as const,
  );
}
