import { describe, expect, test } from 'vitest';
import { loadKernels } from '../../src/runtime/kernels.js';
import { checkOptions, optionsFor, refusedOption, usesTf32 } from '../../src/runtime/provider-options.js';
import { createSession } from '../../src/runtime/session.js';
import { probeModel } from '../../src/bench/probe-model.js';
import { needsLibrary } from '../support/needs.js';

const OPTIONS = new Map([
  ['use_tf32', '0'],
  ['trt_sparsity_enable', '1'],
]);

describe('which provider an option is for', () => {
  test('those of TensorRT begin with trt_', () => {
    expect([...optionsFor('cuda', OPTIONS).keys()]).toEqual(['use_tf32']);
    expect([...optionsFor('tensorrt', OPTIONS).keys()]).toEqual(['trt_sparsity_enable']);
    expect([optionsFor('cpu', OPTIONS).size, optionsFor('webgpu', OPTIONS).size]).toEqual([0, 0]);
  });

  test('one that no provider takes is an error, not dropped', () => {
    expect(() => checkOptions(['cuda', 'tensorrt'], OPTIONS)).not.toThrow();
    expect(() => checkOptions(['cpu', 'cuda'], OPTIONS)).toThrow(
      expect.objectContaining({
        code: 'E-USAGE',
        what: 'the provider option trt_sparsity_enable is for tensorrt, and the providers are cpu, cuda',
      }),
    );
    expect(() => checkOptions(['cpu'])).not.toThrow();
  });
});

test('TF32 is on unless an option or the variable of NVIDIA turns it off', () => {
  expect([usesTf32('cpu'), usesTf32('webgpu')]).toEqual([undefined, undefined]);
  expect([usesTf32('cuda', new Map(), {}), usesTf32('tensorrt', new Map(), {})]).toEqual([true, true]);
  expect(usesTf32('cuda', OPTIONS, {})).toBe(false);
  expect(usesTf32('tensorrt', OPTIONS, {})).toBe(true);
  expect(usesTf32('tensorrt', new Map(), { NVIDIA_TF32_OVERRIDE: '0' })).toBe(false);
});

test('what a provider refuses is a mistake of the command line', () => {
  const said =
    '/onnxruntime_src/…/cuda_execution_provider_info.cc:62 … [ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:182 Parse Unknown provider option: "foo".';
  expect(refusedOption(new Error(said))).toMatchObject({
    code: 'E-USAGE',
    what: 'ONNX Runtime refuses an option of the provider: unknown provider option: "foo"',
  });
  expect(refusedOption(new Error('something else'))).toBeUndefined();
});

test('the native library takes them, and sessions of the CPU stay as they are', needsLibrary, async () => {
  const { setProviderOptions } = loadKernels();
  expect(setProviderOptions?.('cuda', 'use_tf32=0\nprefer_nhwc=1')).toBe(true);
  expect(setProviderOptions?.('tensorrt', 'trt_sparsity_enable=1')).toBe(true);
  expect(setProviderOptions?.('webgpu', 'a=1')).toBe(false);
  await (await createSession(probeModel(), { providerOptions: OPTIONS })).release();
  expect([setProviderOptions?.('cuda', ''), setProviderOptions?.('tensorrt', '')]).toEqual([true, true]);
});
