/** What `--inputs` and `--labels` give, made for the models that are run with it. */
import { PruneCompileError } from '../errors.js';
import { Tensor } from '../ir/tensor.js';
import type { Feeds } from '../runtime/feeds.js';
import { describeInput, type TensorInput } from '../runtime/input-shapes.js';
import { createSession } from '../runtime/session.js';
import { fitSet } from './fit.js';
import { type ImageLayout, type ImageOptions, readImage } from './images.js';
import { LABEL_NAMES, readLabels } from './labels.js';
import { type GivenFiles, readSamples } from './read.js';
import type { GivenArray, SampleSet } from './samples.js';

export interface GivenOptions extends ImageOptions {
  /** A file or a folder: docs/inputs.md. */
  readonly inputs: string;
  /** A file with the right class of each sample. */
  readonly labels?: string | undefined;
  /** Samples in a run, where the model leaves that open; default 32. */
  readonly batch?: number | undefined;
}

export interface Given {
  readonly path: string;
  /** One for each run. */
  readonly feeds: readonly Feeds[];
  /** Samples in each run. */
  readonly counts: readonly number[];
  readonly samples: number;
  readonly labels?: Labels;
  readonly notes: readonly string[];
}

export interface Labels {
  readonly path: string;
  /** The right class of each sample. */
  readonly classes: readonly number[];
}

/**
 * Reads the files and makes the runs of a model, a path or bytes, from them. Throws E-INPUT-… for
 * files that are not there, E-INPUTS for those that hold something else, E-SHAPE for what does not
 * fit the model.
 */
export async function readGiven(model: string | Uint8Array, options: GivenOptions): Promise<Given> {
  const files = readSamples(options.inputs);
  const inputs = await inputsOf(model);
  const notes = new Set(files.notes);
  const labelled = options.labels === options.inputs ? LABEL_NAMES : [];
  if (files.images.length === 0) refuseImageOptions(options);
  const sets = files.images.length === 0 ? files.sets : await imageSets(files, inputs, options);
  const fitted = joined(sets, inputs).map((set) =>
    fitSet(withoutLabels(set, inputs, labelled), inputs, options.batch, notes),
  );
  const feeds = fitted.flatMap((part) => part.feeds);
  const counts = fitted.flatMap((part) => part.counts);
  const samples = counts.reduce((total, count) => total + count, 0);
  const labels = options.labels === undefined ? undefined : readLabels(options.labels, samples, options.inputs);
  if (labels?.note !== undefined) notes.add(labels.note);
  return {
    path: options.inputs,
    feeds,
    counts,
    samples,
    ...(labels !== undefined && { labels: { path: labels.path, classes: labels.classes } }),
    notes: [...notes],
  };
}

/** One file may have both. */
function withoutLabels(set: SampleSet, inputs: readonly TensorInput[], labelled: readonly string[]): SampleSet {
  const isLabels = (name = '') => labelled.includes(name) && !inputs.some((input) => input.name === name);
  return set.filter(({ name }) => !isLabels(name));
}

async function inputsOf(model: string | Uint8Array): Promise<TensorInput[]> {
  const session = await createSession(model, { optimize: false });
  try {
    return session.inputMetadata.map((input) => {
      if (input.isTensor) return input;
      throw new PruneCompileError('E-INPUTS', {
        what: `the model's input ${input.name} is a sequence or a map, and files hold tensors`,
        facts: [['try', 'a model whose inputs are tensors']],
      });
    });
  } finally {
    await session.release();
  }
}

function refuseImageOptions({ mean, std, size, inputs }: GivenOptions): void {
  const given = mean !== undefined ? '--mean' : std !== undefined ? '--std' : size !== undefined ? '--size' : undefined;
  if (given === undefined) return;
  throw new PruneCompileError('E-USAGE', {
    what: `${given} is for images, and ${inputs} holds arrays`,
    facts: [['try', 'arrays as the model takes them, or a folder of images']],
  });
}

async function imageSets(
  { images }: GivenFiles,
  inputs: readonly TensorInput[],
  options: GivenOptions,
): Promise<SampleSet[]> {
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0) throw noImages(inputs, 'it has not one input');
  const layout = layoutOf(input, options);
  if (typeof layout === 'string') throw noImages(inputs, layout);
  const sets: SampleSet[] = [];
  for (const path of images)
    sets.push([{ name: input.name, from: path, tensor: await readImage(path, layout, options) }]);
  return sets;
}

/** A small last extent is a channel count: NHWC. Open sides are those of --size. */
function layoutOf({ shape, type }: TensorInput, { size }: ImageOptions): ImageLayout | string {
  if (shape.length !== 4 || !type.startsWith('float'))
    return 'its input is no batch of images of floating-point numbers';
  const isChannels = (extent: unknown): extent is 1 | 3 => extent === 1 || extent === 3;
  const isChannelsLast = !isChannels(shape[1]) && isChannels(shape[3]);
  const channels = isChannelsLast ? shape[3] : shape[1];
  const [height, width] = (isChannelsLast ? [1, 2] : [2, 3]).map((axis) => {
    const extent = shape[axis];
    return typeof extent === 'number' ? extent : size;
  });
  if (!isChannels(channels)) return `its images have ${String(channels)} channels, and files have 1 or 3`;
  if (height === undefined || width === undefined) return 'it leaves the size of images open: --size 224';
  return { channels, height, width, isChannelsLast };
}

function noImages(inputs: readonly TensorInput[], why: string): PruneCompileError {
  return new PruneCompileError('E-INPUTS', {
    what: 'the model cannot be run with images',
    facts: [
      ['why', why],
      ['the model has', inputs.map(describeInput).join(', ')],
      ['try', 'arrays as the model takes them (.npz)'],
    ],
  });
}

/**
 * Samples of one shape that came in files of their own are run together, as those of one file are.
 */
function joined(sets: readonly SampleSet[], inputs: readonly TensorInput[]): readonly SampleSet[] {
  const arrays = sets.flatMap((set) => set);
  const [first] = arrays;
  const [input] = inputs;
  const isAlike = ({ tensor: { dims, dataType } }: GivenArray) =>
    dataType === first?.tensor.dataType && dims.join() === first.tensor.dims.join();
  const isOneEach = inputs.length === 1 && sets.length > 1 && sets.every((set) => set.length === 1);
  if (!isOneEach || first === undefined || input === undefined || !arrays.every(isAlike)) return sets;
  const { dims, dataType } = first.tensor;
  const missing = input.shape.length - dims.length;
  if (missing !== 0 && missing !== 1) return sets;
  const [rows = 0, ...others] = missing === 1 ? [1, ...dims] : dims;
  const bytes = Buffer.concat(arrays.map(({ tensor }) => tensor.bytes()));
  const tensor = Tensor.of(dataType, [rows * arrays.length, ...others], bytes);
  return [[{ name: first.name, from: `${first.from} and ${arrays.length - 1} more`, tensor }]];
}
