import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('../../dist/src/cli/worker.js', import.meta.url));

/**
 * A module for `node --import`: whatever starts a process or compiles text in that process is
 * written down, to be found. The command's own worker is let through: it inherits the module.
 */
export function logProcesses(log: string): string {
  return `
    import { appendFileSync } from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    import childProcess from 'node:child_process';
    import vm from 'node:vm';
    const log = ${JSON.stringify(log)};
    const isWorker = (name, [file, list]) =>
      name === 'spawn' && file === process.execPath && list.includes(${JSON.stringify(WORKER)});
    for (const [module, names] of [
      [childProcess, ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync']],
      [vm, ['runInContext', 'runInNewContext', 'runInThisContext']],
      [globalThis, ['eval']],
    ])
      for (const name of names) {
        const original = module[name];
        module[name] = (...args) => {
          if (!isWorker(name, args)) appendFileSync(log, name + ' ' + String(args[0]) + '\\n');
          return original(...args);
        };
      }
    syncBuiltinESMExports();
  `;
}
