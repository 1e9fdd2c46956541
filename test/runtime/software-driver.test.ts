/** Which drivers of Vulkan are told apart as software. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { softwareDriver } from '../../src/runtime/software-driver.js';

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'drivers-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const named = (files: string) => softwareDriver('webgpu', { VK_DRIVER_FILES: files }, 'linux');

test('by the names of manifests', () => {
  expect(named('/usr/lib/chromium/vk_swiftshader_icd.json')).toBe('SwiftShader');
  expect(named('/usr/share/vulkan/icd.d/lvp_icd.x86_64.json')).toBe('lavapipe');
  expect(softwareDriver('webgpu', { VK_ICD_FILENAMES: 'a/lvp_icd.json' }, 'linux')).toBe('lavapipe');
});

test('only where there is no other', () => {
  expect(named('lvp_icd.json:/usr/share/vulkan/icd.d/nvidia_icd.json')).toBeUndefined();
  expect(named('radeon_icd.json')).toBeUndefined();
  expect(named('')).toBeUndefined();
});

test('in the folders of the loader', () => {
  const folder = join(home, 'vulkan', 'icd.d');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'lvp_icd.json'), '{}');
  const env = {
    XDG_DATA_HOME: home,
    XDG_CONFIG_HOME: '/nowhere',
    XDG_CONFIG_DIRS: '/nowhere',
    XDG_DATA_DIRS: '/nowhere',
  };
  expect(softwareDriver('webgpu', env, 'linux')).toBe('lavapipe');
  writeFileSync(join(folder, 'intel_icd.json'), '{}');
  expect(softwareDriver('webgpu', env, 'linux')).toBeUndefined();
});

test('not of other providers and systems', () => {
  const env = { VK_DRIVER_FILES: 'vk_swiftshader_icd.json' };
  expect(softwareDriver('cpu', env, 'linux')).toBeUndefined();
  expect(softwareDriver('cuda', env, 'linux')).toBeUndefined();
  expect(softwareDriver('webgpu', env, 'win32')).toBeUndefined();
});
