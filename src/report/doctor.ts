/**
 * What `doctor` prints: what is here, then how to get what is missing; and the table that `doctor
 * --calibrate` measured.
 */
import type { MeasuredTable } from '../cost/sparse-table-file.js';
import { shown } from '../printable.js';
import type { Diagnosis, KernelsDiagnosis, ProviderDiagnosis } from '../doctor.js';
import { formatPlural } from './numbers.js';
import { wrapText } from './text.js';

const WIDTH = 80;
const LABEL = 18;

export function renderDiagnosis(diagnosis: Diagnosis): string {
  const { tool, node, platform, runtime, cpu, kernels, costTable, missing } = shown(diagnosis);
  return [
    ...row(tool.name, `${tool.version}, Node ${node.replace(/^v/, '')}, ${platform}`),
    ...row('processor', `${cpu.model}, ${formatPlural(cpu.cores, 'core')}`),
    ...row('  instructions', cpu.instructionSets?.join(' ') ?? 'not listed by this system'),
    ...row('ONNX Runtime', runtime.version),
    ...runtime.providers.flatMap((provider) => row(`  ${provider.name}`, providerText(provider))),
    ...(runtime.cudaFolder === undefined
      ? []
      : row('  cuda libraries', `in ${runtime.cudaFolder} (doctor --get cuda)`)),
    ...row('sparse operators', kernelsText(kernels)),
    ...row('  library', `${kernels.path}${kernels.build === undefined ? '' : ` (build ${kernels.build})`}`),
    ...(kernels.loads ? row('  run', runText(kernels)) : []),
    ...row('  cost table', tableText(costTable)),
    ...costTable.notes.flatMap((note) => row('  note', note)),
    ...(missing.length === 0 ? [] : ['', 'What is missing, and how to get it:']),
    ...missing.flatMap(({ what, get }) => wrapText(`- ${what}: ${get}`, WIDTH, '  ')),
    '',
  ].join('\n');
}

function providerText({ bundled, works, softwareDriver, why }: ProviderDiagnosis): string {
  if (works) return softwareDriver === undefined ? 'works' : `works, on ${softwareDriver}: software, no GPU`;
  return `${bundled ? 'bundled, does not work here' : 'not bundled'}: ${why ?? 'it does not load'}`;
}

function kernelsText({ found, loads, why }: KernelsDiagnosis): string {
  if (loads) return 'work';
  return found
    ? `do not work: their native library cannot be used${why === undefined ? '' : `: ${why}`}`
    : 'do not work: their native library is not there';
}

function runText({ isa, kernel, executableMemory }: KernelsDiagnosis): string {
  const how = kernel === 'jit' ? 'code made for each layer (jit)' : 'the stream kernel';
  return `${how}, ${isa ?? 'unknown instructions'}; memory for code ${executableMemory === true ? 'is allowed' : 'is refused'}`;
}

function tableText({ name, from, likeness }: Diagnosis['costTable']): string {
  return likeness === undefined ? `${name} (${from})` : `${name} (${from}, for ${likeness})`;
}

const KINDS = { conv1x1: '1x1 convolution', conv: 'larger kernels', matmul: 'MatMul' } as const;

/** The measured speed-ups, one row for each kind of layer. */
export function renderCalibration(table: MeasuredTable, said: readonly string[]): string {
  const { name, layers, secondsPerMovedElement } = shown(table);
  const notes = shown(said);
  const kinds = Object.entries(KINDS) as ['conv1x1' | 'conv' | 'matmul', string][];
  const cells = (texts: readonly string[]) => texts.map((text) => text.padStart(7)).join('');
  return [
    ...wrapText(`${name}: times as fast as ONNX Runtime's dense kernels, one thread, by share of zeros`, WIDTH),
    `${'zeros'.padEnd(LABEL)}${cells(layers.conv.speedups.map(([zeros]) => `${Math.round(zeros * 100)} %`))}`,
    ...kinds.map(
      ([kind, label]) =>
        `${label.padEnd(LABEL)}${cells(layers[kind].speedups.map(([, speedup]) => speedup.toFixed(2)))}`,
    ),
    `moving data       ${(secondsPerMovedElement * 1e9).toFixed(2)} ns an element`,
    '',
    ...notes.flatMap((note) => wrapText(note, WIDTH, '  ')),
    '',
  ].join('\n');
}

function row(label: string, text: string): string[] {
  const [first = '', ...more] = wrapText(text, WIDTH - LABEL);
  return [`${label.padEnd(LABEL)}${first}`.trimEnd(), ...more.map((line) => ' '.repeat(LABEL) + line)];
}
