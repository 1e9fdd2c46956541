/**
 * The wheels of PyPI that hold what the CUDA provider of ONNX Runtime 1.30.0 needs, by their
 * SHA-256. None of it is in this package: users fetch it from where its makers put it.
 */
import { CUDA_RUNTIME } from '../runtime/cuda-cache.js';

export interface Wheel {
  readonly project: string;
  readonly version: string;
  /** Name of the file. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Where its libraries lie in it, and where they go. */
  readonly from: string;
  readonly to: 'lib' | 'provider';
  readonly libraries: readonly string[];
  /** Sum of their sizes. */
  readonly unpackedBytes: number;
}

export interface Catalogue {
  /** Version of ONNX Runtime. */
  readonly runtime: string;
  readonly wheels: readonly Wheel[];
}

const CU13 = 'nvidia/cu13/lib';

export const CATALOGUE: Catalogue = {
  runtime: CUDA_RUNTIME,
  wheels: [
    {
      project: 'onnxruntime-gpu',
      version: '1.30.0',
      file: 'onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl',
      sizeBytes: 246_685_715,
      sha256: '6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1',
      from: 'onnxruntime/capi',
      to: 'provider',
      libraries: [
        'libonnxruntime_providers_shared.so',
        'libonnxruntime_providers_cuda.so',
        'libonnxruntime_providers_tensorrt.so',
      ],
      unpackedBytes: 273_055_192,
    },
    {
      project: 'nvidia-cuda-runtime',
      version: '13.5.37',
      file: 'nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      sizeBytes: 2_504_024,
      sha256: 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d',
      from: CU13,
      to: 'lib',
      libraries: ['libcudart.so.13'],
      unpackedBytes: 806_720,
    },
    {
      project: 'nvidia-cublas',
      version: '13.10.0.20',
      file: 'nvidia_cublas-13.10.0.20-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl',
      sizeBytes: 444_289_903,
      sha256: 'dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84',
      from: CU13,
      to: 'lib',
      libraries: ['libcublas.so.13', 'libcublasLt.so.13'],
      unpackedBytes: 608_935_360,
    },
    {
      project: 'nvidia-curand',
      version: '10.4.5.25',
      file: 'nvidia_curand-10.4.5.25-py3-none-manylinux_2_27_x86_64.whl',
      sizeBytes: 77_113_015,
      sha256: '22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529',
      from: CU13,
      to: 'lib',
      libraries: ['libcurand.so.10'],
      unpackedBytes: 104_860_296,
    },
    {
      project: 'nvidia-cudnn-cu13',
      version: '9.28.1.4',
      file: 'nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl',
      sizeBytes: 516_817_937,
      sha256: 'a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec',
      from: 'nvidia/cudnn/lib',
      to: 'lib',
      libraries: [
        'libcudnn.so.9',
        'libcudnn_adv.so.9',
        'libcudnn_cnn.so.9',
        'libcudnn_engines_precompiled.so.9',
        'libcudnn_engines_runtime_compiled.so.9',
        'libcudnn_engines_tensor_ir.so.9',
        'libcudnn_ext.so.9',
        'libcudnn_graph.so.9',
        'libcudnn_heuristic.so.9',
        'libcudnn_ops.so.9',
      ],
      unpackedBytes: 940_112_632,
    },
  ],
};

/** pip finds older placeholders where one of these is not named. */
const PLATFORMS = [
  'manylinux_2_28_x86_64',
  'manylinux_2_27_x86_64',
  'manylinux2014_x86_64',
  'manylinux_2_17_x86_64',
  'manylinux1_x86_64',
];

/** What `python3` is asked for the wheels; the same line by hand makes a folder for --wheels. */
export function pipArguments({ wheels }: Catalogue, folder: string): string[] {
  return [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--python-version',
    '3.12',
    ...PLATFORMS.flatMap((platform) => ['--platform', platform]),
    '--dest',
    folder,
    ...wheels.map(({ project, version }) => `${project}==${version}`),
  ];
}

export function downloadBytes({ wheels }: Catalogue): number {
  return wheels.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

export function unpackedBytes({ wheels }: Catalogue): number {
  return wheels.reduce((total, wheel) => total + wheel.unpackedBytes, 0);
}
