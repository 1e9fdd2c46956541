/**
 * What the builder of a small network knows about it: which channels it tied, who reads them, where
 * noise can be added.
 */

/**
 * A value and, per index of its axis 1, the channel it belongs to; equal numbers belong together
 * from the start.
 */
export interface Channels {
  readonly name: string;
  readonly ids: readonly number[];
}

/** A weight of the model to try out. */
export interface Parameter {
  readonly dims: readonly number[];
  readonly data: Float32Array;
  /**
   * The result whose channels its first axis makes. Where those are constant, other numbers would
   * make other constants.
   */
  readonly makes: string;
  /** Of other numbers in its place; small for what shifts. */
  readonly deviation: number;
}

/** Operands and a result whose channels go together, unless all of one is known. */
export interface Tie {
  readonly a: Channels;
  readonly b: Channels;
  readonly result: Channels;
  readonly op: 'Add' | 'Mul';
  /** The input that disturbs the result. */
  readonly noise: string;
}

export interface Structure {
  /** Output channels by the name of the node. */
  readonly layers: Map<string, readonly number[]>;
  /**
   * What layers sum over. `noise` is the input that disturbs what this reader, and no other, reads.
   */
  readonly readers: (Channels & { readonly noise: string })[];
  readonly ties: Tie[];
  /** Channels that are outputs or inputs of the model. */
  readonly pinned: Set<number>;
  readonly parameters: Map<string, Parameter>;
  /** Inputs for noise, by name, and the values that they disturb; [N, C] or [N, C, 1, 1]. */
  readonly noises: Map<string, Channels & { readonly rank: number }>;
  /** Results of windows that read padding: what goes in as a constant comes out as a map. */
  readonly maps: string[];
  /** Values to look at, and the model's own outputs. */
  readonly probes: Map<string, number>;
  readonly outputs: string[];
  readonly inputChannels: number;
}
