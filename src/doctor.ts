/**
 * `prune-compile doctor`: what is here, what of it works, and how to get what is missing. Nothing
 * of it is an error.
 */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { calibratedPath, chooseTable, type TableChoice } from './cost/sparse-target.js';
import { providerProblem } from './bench/providers.js';
import { PruneCompileError } from './errors.js';
import { buildCommand, kernelsPath, loadKernels } from './runtime/kernels.js';
import { cudaFolder, hasCuda } from './runtime/cuda-cache.js';
import { instructionSets, thisMachine } from './runtime/machine.js';
import { type Provider, PROVIDERS } from './runtime/providers.js';
import { bundledProviders, runtimeVersion } from './runtime/session.js';
import { softwareDriver } from './runtime/software-driver.js';
import { TOOL } from './version.js';

export interface ProviderDiagnosis {
  readonly name: Provider;
  /** Whether onnxruntime-node says that it brings it along. */
  readonly bundled: boolean;
  readonly works: boolean;
  /** The driver that computes on the processor, by name, where there is no GPU (WebGPU). */
  readonly softwareDriver?: string;
  /** Why it does not work. */
  readonly why?: string;
  /** The next step towards it, where it does not work. */
  readonly get?: string;
}

export interface KernelsDiagnosis {
  readonly path: string;
  readonly found: boolean;
  readonly loads: boolean;
  /** Why it does not load. */
  readonly why?: string;
  readonly build?: string;
  readonly isa?: string;
  readonly kernel?: string;
  readonly executableMemory?: boolean;
}

export interface Diagnosis {
  readonly tool: typeof TOOL;
  readonly node: string;
  /** As `linux x64`. */
  readonly platform: string;
  readonly runtime: {
    readonly version: string;
    readonly providers: readonly ProviderDiagnosis[];
    /** The folder of what --get cuda put there, where it did. */
    readonly cudaFolder?: string;
  };
  readonly cpu: {
    readonly model: string;
    readonly cores: number;
    /** Absent where the system does not list them. */
    readonly instructionSets?: readonly string[];
  };
  readonly kernels: KernelsDiagnosis;
  /** The table that --sparse would decide by. */
  readonly costTable: Omit<TableChoice, 'table'> & { readonly name: string };
  /** What is not here, and how to get it. */
  readonly missing: readonly { readonly what: string; readonly get: string }[];
}

/** What of this machine is used and what is missing: providers, native library, cost table. */
export async function diagnose(): Promise<Diagnosis> {
  const providers = await Promise.all(PROVIDERS.map(diagnoseProvider));
  const kernels = diagnoseKernels();
  const { table, ...choice } = chooseTable();
  const sets = instructionSets();
  return {
    tool: TOOL,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    runtime: { version: runtimeVersion(), providers, ...(hasCuda() && { cudaFolder: cudaFolder() }) },
    cpu: { model: thisMachine().cpu, cores: cpus().length, ...(sets !== undefined && { instructionSets: sets }) },
    kernels,
    costTable: { name: table.name, ...choice },
    missing: missingOf(providers, kernels),
  };
}

async function diagnoseProvider(name: Provider): Promise<ProviderDiagnosis> {
  const problem = await providerProblem(name);
  const works = problem === undefined;
  const driver = works ? softwareDriver(name) : undefined;
  return {
    name,
    bundled: bundledProviders().includes(name),
    works,
    ...(driver !== undefined && { softwareDriver: driver }),
    ...problem,
  };
}

function diagnoseKernels(): KernelsDiagnosis {
  const path = kernelsPath();
  const found = existsSync(path);
  try {
    const { build, isa, kernel, executableMemory } = loadKernels();
    return { path, found, loads: true, build, isa, kernel, executableMemory };
  } catch (error) {
    if (!(error instanceof PruneCompileError)) throw error;
    const [, why = error.what] = error.facts.find(([label]) => label === 'why') ?? [];
    return { path, found, loads: false, why };
  }
}

function missingOf(providers: readonly ProviderDiagnosis[], kernels: KernelsDiagnosis): Diagnosis['missing'] {
  return [
    ...providers
      .map(({ name, get }) => ({ what: `the execution provider ${name}`, get }))
      .filter((entry): entry is Diagnosis['missing'][number] => entry.get !== undefined),
    ...(kernels.loads ? [] : [{ what: 'the native library of sparse operators', get: buildCommand() }]),
    ...(kernels.executableMemory === false
      ? [{ what: 'memory for code, which the faster kernel needs', get: 'a system or container policy that allows it' }]
      : []),
    ...(kernels.loads && !existsSync(calibratedPath())
      ? [{ what: 'a cost table measured on this machine', get: 'prune-compile doctor --calibrate (up to a minute)' }]
      : []),
  ];
}
