/** Where onnxruntime-node has its libraries. Asks the file system alone: nothing is loaded. */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** bin/napi-v6/linux/x64 in the package of onnxruntime-node. */
export function runtimeFolder(): string {
  const bin = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')), '..', 'bin');
  const [napi = ''] = readdirSync(bin).filter((name) => name.startsWith('napi-'));
  return join(bin, napi, process.platform, process.arch);
}
