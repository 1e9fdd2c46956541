/**
 * What failures of the providers for NVIDIA cards mean. The messages are those of ONNX Runtime
 * 1.30, as its provider gave them where each piece was missing.
 */
import { describe, expect, test } from 'vitest';
import { librariesOf, problemOf } from '../../src/runtime/provider-needs.js';

const TYPES =
  'std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void]';
const SOURCE = `/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 ${TYPES} `;
const PLACE =
  ' ; GPU=-1 ; hostname=host ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id);';
const failure = (text: string) => `${SOURCE}${SOURCE}${text}${PLACE}`;
const LOADING = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';
const FILES = 'provider files (libonnxruntime_providers_shared.so, libonnxruntime_providers_cuda.so)';

describe('codes of CUDA and cuDNN, in words', () => {
  test.each([
    [
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
      /^the NVIDIA driver is too old for CUDA 13, or not there \(CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version\)$/,
      /^an NVIDIA driver, version 580 or newer; a driver from 525 on runs CUDA 12, .* 1\.26\.0/,
    ],
    [
      'CUDA failure 100: no CUDA-capable device is detected',
      /^no NVIDIA card is visible \(CUDA failure 100: no CUDA-capable device is detected\)$/,
      /nvidia-smi .* CUDA_VISIBLE_DEVICES .* --gpus all/,
    ],
    [
      'CUDA failure 209: no kernel image is available for execution on the device',
      /^the card is too old for CUDA 13 \(CUDA failure 209: /,
      /7\.5 \(Turing\) or newer/,
    ],
    [
      'CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED',
      /^cuDNN finds no NVIDIA driver that it can use \(CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED\)$/,
      /driver, version 580 or newer/,
    ],
  ])('%s', (text, why, get) => {
    expect(problemOf('cuda', failure(text))).toEqual({
      why: expect.stringMatching(why),
      get: expect.stringMatching(get),
    });
  });

  test('any other keeps its own sentence, without C++ types', () => {
    const { why, get } = problemOf('cuda', failure('CUDA failure 999: unknown error'));
    expect(why).toBe('CUDA failure 999: unknown error');
    expect(get).toMatch(/provider files, CUDA 13 with cuDNN 9, and an NVIDIA driver, version 580 or newer/);
  });

  test('the same numbers mean something else in another library', () => {
    expect(problemOf('cuda', failure('CUDNN failure 35: X')).why).toBe('CUDNN failure 35: X');
  });
});

describe('what is missing is told at once, part by part, with where it comes from', () => {
  test('all of it', () => {
    const { why, get } = problemOf('cuda', LOADING, { missing: librariesOf('cuda') });
    // A machine with the provider files beside the runtime lacks the others alone.
    expect(why.replace(`${FILES}; `, '')).toBe(
      'missing: CUDA 13 libraries (libcudart.so.13, libcublas.so.13, libcublasLt.so.13, libcurand.so.10); cuDNN 9 for CUDA 13 (libcudnn.so.9); NVIDIA driver (libcuda.so.1)',
    );
    expect(get).toMatch(
      /^prune-compile doctor --get cuda \(provider files, CUDA 13 and cuDNN 9.*\); an NVIDIA driver, version 580 or newer$/,
    );
  });

  test('the one library that the loader names', () => {
    const log =
      '…/provider_bridge_ort.cc:1988 … Failed to load library /app/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: No such file or directory';
    expect(problemOf('cuda', LOADING, { log }).why).toMatch(/CUDA 13 libraries \(libcublasLt\.so\.13\)$/);
  });

  test('cuDNN, which is loaded by the first convolution alone', () => {
    const message =
      "Non-zero status code returned while running Conv node. Name:'Conv' Status Message: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_kernel.h:296 static cudnnContext* onnxruntime::cuda::CudaKernel::RequireCudnnHandle(cudnnHandle_t) [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : cuDNN is unavailable or disabled for CUDA Execution Provider: dlopen failed for libcudnn.so: libcudnn.so: cannot open shared object file: No such file or directory";
    expect(problemOf('cuda', message).why).toMatch(/cuDNN 9 for CUDA 13 \(libcudnn\.so\.9\)$/);
  });

  test('a missing library does not hide what the driver says', () => {
    const { why } = problemOf('cuda', failure('CUDA failure 35: too old'), { missing: ['libcudnn.so.9'] });
    expect(why).toMatch(/cuDNN 9 for CUDA 13 \(libcudnn\.so\.9\); the NVIDIA driver is too old/);
  });

  test('TensorRT beside what CUDA needs', () => {
    const { why, get } = problemOf('tensorrt', LOADING, { missing: librariesOf('tensorrt') });
    expect(why).toMatch(/TensorRT 10 \(libnvinfer\.so\.10, libnvonnxparser\.so\.10\); CUDA 13 libraries/);
    expect(get).toMatch(/TensorRT 10 for CUDA 13 from NVIDIA.*; all that --providers cuda needs$/);
  });
});

test('other providers keep what their driver says', () => {
  const message =
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 void onnxruntime::webgpu::WebGpuContext::Initialize(const X&) adapter != nullptr was false. Failed to get a WebGPU adapter: none';
  const log =
    "Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory";
  expect(problemOf('webgpu', message, { log }).why).toBe(
    "Failed to get a WebGPU adapter: none (Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory)",
  );
});
