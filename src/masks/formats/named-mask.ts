/** A mask as the writers take it: every format says the same of it. */
export interface NamedMask {
  readonly name: string;
  readonly dims: readonly number[];
  /** One byte per element, row-major: 1 keeps, 0 prunes. */
  readonly keep: Uint8Array;
}
