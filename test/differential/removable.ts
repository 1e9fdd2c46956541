/**
 * What could be removed from a small network, found by trying: no analysis of the graph, only runs
 * of it in ONNX Runtime.
 *
 * A channel is *unneeded* by a reader when noise added to what this reader reads, on this channel,
 * changes no output, and *constant* there when it is one scalar at every place for every input.
 * Channels that additions, gates and depthwise convolutions tie go together: a tied set is
 * removable when each of its members is unneeded or constant at each of its readers. That is the
 * largest set: a channel that is only needed by channels that can go is itself unneeded, as noise
 * on it does not get through them.
 *
 * Each element of one batch is one trial, so that a network is run some ten times: with its own
 * weights, and with others that are zero at the same places. What is removable with its own weights
 * alone is so by their values, not by their zeros: a filter that is negative for every input, say.
 * Maps, which padding makes from constants, vary in the second kind of run.
 */
import * as ort from 'onnxruntime-node';
import { normals } from '../../fixtures/networks/random.js';
import { createSession } from '../../src/runtime/session.js';
import { INPUT, SIZE } from './small-model.js';
import type { Channels, Parameter, Structure } from './small-structure.js';
import { range } from '../../fixtures/networks/random-networks/sketch.js';

/** The first trials of each batch differ by their input only. */
const INPUTS = 4;
const NOISES = [10, 1] as const;
const OWN_RUNS = 2;
const OTHER_RUNS = 12;
/**
 * Of weights in place of others, in deviations: what is multiplied again and again may not vanish.
 */
const LEAST = 0.25;
const TOLERANCE = 1e-5;

/** By probe or by noise input: 1 per channel where it holds in all runs. */
type Facts = Map<string, Uint8Array>;

export interface Findings {
  readonly constant: Facts;
  readonly unneeded: Facts;
}

export interface Removable {
  /** By the zeros of the weights. */
  readonly byZeros: Findings;
  /**
   * With these weights, at this size: includes what nothing but their values and the image's size
   * make constant.
   */
  readonly byValues: Findings;
}

export async function findRemovable(bytes: Uint8Array, structure: Structure, seed: number): Promise<Removable> {
  const session = await createSession(bytes, { optimize: false });
  try {
    const trials = new Trials(session, structure, seed);
    const byValues = await trials.ofOwnWeights();
    return { byValues, byZeros: await trials.ofOtherWeights(byValues) };
  } finally {
    await session.release();
  }
}

interface Trial {
  readonly noise: string;
  readonly channel: number;
  readonly size: number;
}

class Trials {
  readonly #session: ort.InferenceSession;
  readonly #structure: Structure;
  readonly #seed: number;
  readonly #trials: readonly Trial[];

  constructor(session: ort.InferenceSession, structure: Structure, seed: number) {
    this.#session = session;
    this.#structure = structure;
    this.#seed = seed;
    this.#trials = [...structure.readers, ...structure.ties].flatMap(({ noise }) =>
      range(structure.noises.get(noise)?.ids.length ?? 0).flatMap((channel) =>
        [1, -1].map((size) => ({ noise, channel, size })),
      ),
    );
  }

  get #batch(): number {
    return INPUTS + this.#trials.length;
  }

  async ofOwnWeights(): Promise<Findings> {
    const findings: Findings = { constant: new Map(), unneeded: new Map() };
    for (const draw of range(OWN_RUNS)) this.#judge(await this.#run(draw, undefined), findings);
    return findings;
  }

  async ofOtherWeights(own: Findings): Promise<Findings> {
    const copy = (facts: Facts) => new Map([...facts].map(([name, channels]) => [name, channels.slice()]));
    const findings: Findings = { constant: copy(own.constant), unneeded: copy(own.unneeded) };
    const maps = await this.#mapsOf(await this.#run(OWN_RUNS, undefined));
    // What turns out to vary is no reason any more to keep the weights that make it.
    for (const draw of range(OTHER_RUNS)) this.#judge(await this.#run(OWN_RUNS + draw, findings, maps), findings);
    return findings;
  }

  /** Channels that are the same for every input, but not at every place. */
  async #mapsOf(results: Results): Promise<Facts> {
    const found: Facts = new Map();
    for (const noise of this.#structure.maps) {
      const { name = '', ids = [] } = this.#structure.noises.get(noise) ?? {};
      const [data, stride] = dataOf(results, name, this.#batch);
      const size = stride / ids.length;
      const isMap = range(ids.length).map((channel) => {
        const places = range(size).map((place) => channel * size + place);
        const isFixed = places.every((place) =>
          range(INPUTS).every((input) => isSame(data[place] ?? 0, data[input * stride + place] ?? 0)),
        );
        return isFixed && !places.every((place) => isSame(data[channel * size] ?? 0, data[place] ?? 0)) ? 1 : 0;
      });
      found.set(noise, Uint8Array.from(isMap));
    }
    return found;
  }

  #run(draw: number, others: Findings | undefined, maps: Facts = new Map()): Promise<Results> {
    const feeds: Record<string, ort.Tensor> = { [INPUT]: this.#input(draw) };
    for (const [name, parameter] of this.#structure.parameters) {
      const data = others === undefined ? parameter.data : redraw(this.#seed + draw, name, parameter, others.constant);
      feeds[name] = new ort.Tensor(data, [...parameter.dims]);
    }
    for (const [name, target] of this.#structure.noises) feeds[name] = this.#noise(name, target, draw, maps.get(name));
    return this.#session.run(feeds);
  }

  /** Trials with noise have the first input. */
  #input(draw: number): ort.Tensor {
    const channels = this.#structure.inputChannels;
    const size = channels * SIZE.height * SIZE.width;
    const data = new Float32Array(this.#batch * size);
    for (const input of range(INPUTS))
      data.set(normals(this.#seed + draw, `input${input}`, size, 1 + 2 * input), input * size);
    for (const trial of range(this.#trials.length)) data.copyWithin((INPUTS + trial) * size, 0, size);
    return new ort.Tensor(data, [this.#batch, channels, SIZE.height, SIZE.width]);
  }

  #noise(
    name: string,
    { ids, rank }: Channels & { rank: number },
    draw: number,
    map: Uint8Array | undefined,
  ): ort.Tensor {
    const width = ids.length;
    const data = new Float32Array(this.#batch * width);
    for (const [at, trial] of this.#trials.entries())
      if (trial.noise === name) data[(INPUTS + at) * width + trial.channel] = trial.size * (NOISES[draw % 2] ?? 1);
    const varied = normals(this.#seed + draw, name, INPUTS * width);
    for (let at = 0; at < data.length; at++) {
      const element = Math.floor(at / width);
      if (map?.[at % width] === 1) data[at] = varied[(element < INPUTS ? element : 0) * width + (at % width)] ?? 0;
    }
    return new ort.Tensor(data, rank === 4 ? [this.#batch, width, 1, 1] : [this.#batch, width]);
  }

  #judge(results: Results, { constant, unneeded }: Findings): void {
    for (const [name, channels] of this.#structure.probes) {
      const [data, stride] = dataOf(results, name, this.#batch);
      const size = stride / channels;
      const facts = entryOf(constant, name, channels);
      for (const channel of range(channels)) {
        const first = data[channel * size] ?? 0;
        const isConstant = range(INPUTS * size).every((at) =>
          isSame(first, data[Math.floor(at / size) * stride + channel * size + (at % size)] ?? 0),
        );
        if (!isConstant) facts[channel] = 0;
      }
    }
    for (const [at, { noise, channel }] of this.#trials.entries()) {
      const facts = entryOf(unneeded, noise, this.#structure.noises.get(noise)?.ids.length ?? 0);
      if (!this.#isUnchanged(results, INPUTS + at)) facts[channel] = 0;
    }
  }

  #isUnchanged(results: Results, trial: number): boolean {
    return this.#structure.outputs.every((name) => {
      const [data, stride] = dataOf(results, name, this.#batch);
      const first = data.subarray(0, stride);
      const scale = first.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      return first.every((value, at) => Math.abs(value - (data[trial * stride + at] ?? 0)) <= TOLERANCE * scale);
    });
  }
}

type Results = Readonly<Record<string, ort.Tensor>>;

/** All of a value, and how much of it belongs to one trial. */
function dataOf(results: Results, name: string, batch: number): readonly [Float32Array, number] {
  const data = results[name]?.data as Float32Array;
  return [data, data.length / batch];
}

function entryOf(facts: Facts, name: string, channels: number): Uint8Array {
  const found = facts.get(name) ?? new Uint8Array(channels).fill(1);
  facts.set(name, found);
  return found;
}

function isSame(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a));
}

/** Other numbers with other signs where they are not zero; those that make constants stay. */
function redraw(seed: number, name: string, parameter: Parameter, constant: Facts): Float32Array {
  const { dims, data, makes, deviation } = parameter;
  const fresh = normals(seed, name, data.length, deviation);
  const known = constant.get(makes);
  const row = data.length / (dims[0] ?? 1);
  return data.map((value, index) => {
    if (value === 0 || known?.[Math.floor(index / row)] === 1) return value;
    const other = fresh[index] ?? 0;
    return other + Math.sign(other) * deviation * LEAST;
  });
}
