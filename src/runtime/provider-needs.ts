/**
 * What the execution providers for NVIDIA cards need beside onnxruntime-node, for the version of
 * ONNX Runtime that this package pins, and what each of their failures means. Only here are these
 * versions written in code; docs/gpu.md has them with those of the last release for CUDA 12.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasCuda, LIBRARY_PATH } from './cuda-cache.js';
import { runtimeFolder } from './runtime-folder.js';
import type { Provider } from './providers.js';

/** Why a provider does not work here, and the next step. */
export interface ProviderProblem {
  readonly why: string;
  readonly get: string;
}

const DRIVER = 'an NVIDIA driver, version 580 or newer';
const OLDER_DRIVER =
  'a driver from 525 on runs CUDA 12, whose last onnxruntime-node is 1.26.0 (docs/gpu.md), which this package was not tested with';

const GET = 'prune-compile doctor --get cuda (provider files, CUDA 13 and cuDNN 9; docs/gpu.md has other ways)';

/** They are in the cache, and this process does not see them: the command starts so that it does. */
const STARTED_WITHOUT = `${LIBRARY_PATH} with the folder lib of the cache, set before the process starts, or prune-compile doctor --get cuda once more (docs/gpu.md)`;

/** A group of files that come together, and where from. */
interface Part {
  readonly name: string;
  readonly files: readonly string[];
  readonly get: string;
}

const CUDA_FILES: Part = {
  name: 'provider files',
  files: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'],
  get: GET,
};

const TENSORRT_FILES: Part = {
  ...CUDA_FILES,
  files: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_tensorrt.so'],
};

const CUDA_LIBRARIES: Part = {
  name: 'CUDA 13 libraries',
  files: ['libcudart.so.13', 'libcublas.so.13', 'libcublasLt.so.13', 'libcurand.so.10'],
  get: GET,
};

const CUDNN: Part = { name: 'cuDNN 9 for CUDA 13', files: ['libcudnn.so.9'], get: GET };

const DRIVER_LIBRARY: Part = { name: 'NVIDIA driver', files: ['libcuda.so.1'], get: DRIVER };

const TENSORRT_LIBRARIES: Part = {
  name: 'TensorRT 10',
  files: ['libnvinfer.so.10', 'libnvonnxparser.so.10'],
  get: 'TensorRT 10 for CUDA 13 from NVIDIA, its folder in LD_LIBRARY_PATH',
};

/** In the order in which they are needed; the first of each are beside the runtime. */
const PARTS: Readonly<Partial<Record<Provider, readonly [files: Part, ...libraries: Part[]]>>> = {
  cuda: [CUDA_FILES, CUDA_LIBRARIES, CUDNN, DRIVER_LIBRARY],
  tensorrt: [
    TENSORRT_FILES,
    TENSORRT_LIBRARIES,
    ...[CUDA_LIBRARIES, CUDNN, DRIVER_LIBRARY].map((part) => ({ ...part, get: 'all that --providers cuda needs' })),
  ],
};

/** How to get a provider of which nothing more is known than that it does not work. */
const HELP: Readonly<Record<Provider, string>> = {
  cpu: 'npm ci (the CPU provider is inside onnxruntime-node)',
  webgpu: 'a machine with a Vulkan, Metal or D3D12 driver; on Linux the package libvulkan1 and a driver',
  cuda: `Linux on x64 with three parts: the provider files, CUDA 13 with cuDNN 9, and ${DRIVER} (docs/gpu.md)`,
  tensorrt: 'all that --providers cuda needs, and TensorRT 10 for CUDA 13 (docs/gpu.md)',
};

/** Codes of CUDA's runtime (cudaError_t) whose cause is known. */
const CUDA_CODES: ReadonlyMap<number, ProviderProblem> = new Map([
  [35, { why: 'the NVIDIA driver is too old for CUDA 13, or not there', get: `${DRIVER}; ${OLDER_DRIVER}` }],
  [
    100,
    {
      why: 'no NVIDIA card is visible',
      get: 'a machine with an NVIDIA card; nvidia-smi lists what the driver sees, CUDA_VISIBLE_DEVICES may hide cards, and a container needs them passed in (docker run --gpus all)',
    },
  ],
  [
    209,
    {
      why: 'the card is too old for CUDA 13',
      get: `a card of compute capability 7.5 (Turing) or newer; older ones need CUDA 12, whose last onnxruntime-node is 1.26.0 (docs/gpu.md)`,
    },
  ],
]);

/** Of cuDNN (cudnnStatus_t). */
const CUDNN_CODES: ReadonlyMap<number, ProviderProblem> = new Map([
  [
    1001,
    {
      why: 'cuDNN finds no NVIDIA driver that it can use',
      get: `${DRIVER}, and a card that it sees (nvidia-smi lists them)`,
    },
  ],
]);

/** Libraries that the loader has to find for the provider; empty where that is not known. */
export function librariesOf(provider: Provider): readonly string[] {
  const [, ...libraries] = PARTS[provider] ?? [];
  return libraries.flatMap(({ files }) => files);
}

/**
 * What a failure of the provider means. `log` is what the libraries wrote to stderr, `missing`
 * those of `librariesOf` that the loader did not find.
 */
export function problemOf(
  provider: Provider,
  message: string,
  { log = '', missing = [] }: { readonly log?: string; readonly missing?: readonly string[] } = {},
): ProviderProblem {
  const absent = absentParts(provider, message, [...missing, ...filesIn(`${message}\n${log}`)]);
  const words = withoutSource(message);
  const known = codeOf(message);
  const problems = [
    ...(absent.length === 0 ? [] : [absenceOf(absent)]),
    ...(known === undefined ? [] : [{ why: `${known.why} (${words})`, get: known.get }]),
  ];
  if (problems.length > 0)
    return { why: problems.map(({ why }) => why).join('; '), get: problems.map(({ get }) => get).join('; ') };
  const detail = driverWords(log);
  return { why: detail === undefined ? words : `${words} (${detail})`, get: HELP[provider] };
}

function absenceOf(parts: readonly Part[]): ProviderProblem {
  return {
    why: `missing: ${parts.map(({ name, files }) => `${name} (${files.join(', ')})`).join('; ')}`,
    get: [...new Set(parts.map(({ get }) => (get === GET && hasCuda() ? STARTED_WITHOUT : get)))].join('; '),
  };
}

/**
 * The parts that something is missing of, each with what that is. The loader names one file only;
 * whether the others that belong beside the runtime are there is asked here.
 */
function absentParts(provider: Provider, message: string, missing: readonly string[]): Part[] {
  const [own, ...libraries] = PARTS[provider] ?? [];
  if (own === undefined) return [];
  const isLoading = missing.length > 0 || message.includes('Failed to load shared library');
  const folder = runtimeFolder();
  const absent = [
    { ...own, files: own.files.filter((file) => isLoading && !existsSync(join(folder, file))) },
    ...libraries.map((part) => ({ ...part, files: part.files.filter((file) => missing.includes(file)) })),
  ];
  return absent.filter(({ files }) => files.length > 0);
}

/** The loader's sentences: `libcublas.so.13: cannot open shared object file: …`. */
function filesIn(text: string): string[] {
  const named = [...text.matchAll(/([^\s/:]+): cannot open shared object file/g)].map(([, file = '']) => file);
  // ONNX Runtime asks for cuDNN under several names and tells the last of them.
  return named.map((file) => (file.startsWith('libcudnn.so') ? 'libcudnn.so.9' : file));
}

function codeOf(message: string): ProviderProblem | undefined {
  const [, library, code] = /\b(CUDA|CUDNN) failure (\d+):/.exec(message) ?? [];
  return (library === 'CUDNN' ? CUDNN_CODES : CUDA_CODES).get(Number(code));
}

/**
 * Without names of C++ types and places in ONNX Runtime's source, which stand before and after what
 * is said: `…cuda_call.cc:154 std::conditional_t<…> … CUDA failure 35: CUDA driver version is … ;
 * GPU=-1 ; …` -> `CUDA failure 35: CUDA driver version is …`; `/onnxruntime_src/…/webgpu_context.cc:136
 * …::Initialize(…) … was false. Failed to …` -> `Failed to …`
 */
function withoutSource(message: string): string {
  const failure = /\b[A-Z]+ failure \d+: [^;]*[^;\s]/.exec(message)?.[0];
  return failure ?? message.replace(/^\/onnxruntime_src\/\S+:\d+ .*? was false\. /, '');
}

/** A driver's own sentence of why it does not start. */
function driverWords(log: string): string | undefined {
  return /Warning: (.*(?:no drivers|Couldn't load).*)/i.exec(log)?.[1];
}
