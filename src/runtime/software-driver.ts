/**
 * Whether WebGPU computes on the processor: on Linux it goes through Vulkan, whose driver may be
 * software. Its times are no GPU's, so every figure says it.
 */
import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import type { Provider } from './providers.js';

/** Names of driver manifests as the drivers install them: SwiftShader's, and Mesa's lavapipe. */
const SOFTWARE: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/swiftshader/i, 'SwiftShader'],
  [/^(lvp|lavapipe)/i, 'lavapipe'],
];

/**
 * The software driver that is the only one here, by name; undefined where there is another, where
 * none is known, and for other providers and systems.
 */
export function softwareDriver(
  provider: Provider,
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  if (provider !== 'webgpu' || platform !== 'linux') return undefined;
  const names = manifests(env).map((path) => {
    const [, name] = SOFTWARE.find(([pattern]) => pattern.test(basename(path))) ?? [];
    return name;
  });
  return names.includes(undefined) ? undefined : names[0];
}

/**
 * The manifests that Vulkan's loader finds, in its order (Vulkan-Loader, docs/LoaderDriverInterface.md,
 * "Driver Discovery on Linux").
 */
function manifests(env: NodeJS.ProcessEnv): string[] {
  const given = env['VK_DRIVER_FILES'] ?? env['VK_ICD_FILENAMES'];
  if (given !== undefined) return paths(given);
  const folders = [
    env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'),
    ...paths(env['XDG_CONFIG_DIRS'] ?? '/etc/xdg'),
    '/etc',
    env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'),
    ...paths(env['XDG_DATA_DIRS'] ?? '/usr/local/share:/usr/share'),
  ].map((folder) => join(folder, 'vulkan', 'icd.d'));
  return [...paths(env['VK_ADD_DRIVER_FILES'] ?? ''), ...folders.flatMap(manifestsIn)];
}

function paths(list: string): string[] {
  return list.split(delimiter).filter((path) => path !== '');
}

function manifestsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
