/** The project's own TypeScript files, and who imports whom, as the house rules see them. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Import {
  readonly from: string;
  readonly to: string;
  /** Gone after compilation: `import type`, or every name marked `type`. */
  readonly isTypeOnly: boolean;
}

export interface SourceFile {
  /** From the top of the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

export function sourceFiles(folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => listed(folder))
    .map((path) => {
      const text = readFileSync(`${ROOT}${path}`, 'utf8');
      return { path, text, imports: importsOf(path, text) };
    });
}

function listed(folder: string): string[] {
  try {
    return readdirSync(`${ROOT}${folder}`, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(ROOT, `${entry.parentPath}${sep}${entry.name}`).replaceAll(sep, '/'))
      .toSorted();
  } catch {
    return []; // A folder that does not exist yet breaks no rule.
  }
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?([^;'"]*?)\s*from\s+'(\.[^']+)'/gm;
const CALL = /\bimport\('(\.[^']+)'\)/g;

function importsOf(path: string, text: string): Import[] {
  const resolved = (target: string) => posix.join(posix.dirname(path), target).replace(/\.js$/, '.ts');
  const statements = [...text.matchAll(STATEMENT)].map(([, type, names = '', target = '']) => {
    const listedNames =
      /^\{(.*)\}$/s
        .exec(names)?.[1]
        ?.split(',')
        .filter((name) => name.trim() !== '') ?? [];
    const isTypeOnly =
      type !== undefined || (listedNames.length > 0 && listedNames.every((name) => /^\s*type\s/.test(name)));
    return { from: path, to: resolved(target), isTypeOnly };
  });
  // `import('…')` is a lazy import as a call and a type inside annotations; the stricter reading is
  // the safe one.
  const calls = [...text.matchAll(CALL)].map(([, target = '']) => ({
    from: path,
    to: resolved(target),
    isTypeOnly: false,
  }));
  return [...statements, ...calls];
}

/**
 * `src/ops/conv.ts` -> ops, `src/why.ts` -> why, `passes/pass.ts` -> passes,
 * `fixtures/tools/demo.ts` -> fixtures/tools.
 */
export function unitOf(path: string): string {
  const [top = '', second = '', third] = path.split('/');
  if (top === 'fixtures' && third !== undefined) return `${top}/${second}`;
  if (top !== 'src') return top;
  return third === undefined ? second.replace(/\.ts$/, '') : second;
}

/** One cycle as the files on it, or undefined. */
export function findCycle(imports: readonly Import[]): string[] | undefined {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (file: string): string[] | undefined => {
    const at = trail.indexOf(file);
    if (at >= 0) return [...trail.slice(at), file];
    if (done.has(file)) return undefined;
    trail.push(file);
    for (const to of next.get(file) ?? []) {
      const cycle = visit(to);
      if (cycle !== undefined) return cycle;
    }
    trail.pop();
    done.add(file);
    return undefined;
  };
  for (const file of next.keys()) {
    const cycle = visit(file);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
