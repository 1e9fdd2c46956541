/**
 * Scratch memory for unaligned bytes: models put tensors at any offset, typed arrays want multiples
 * of their element.
 */

let scratch = new Uint8Array(0);

/**
 * The bytes themselves where they are aligned, else a copy in scratch memory that the next call
 * overwrites. For reading at once and forgetting: a fresh copy of every weight would double the
 * memory of a large model.
 */
export function alignedScratch(
  bytes: Uint8Array,
  elementSize: number,
): { buffer: ArrayBufferLike; byteOffset: number; byteLength: number } {
  if (bytes.byteOffset % elementSize === 0) return bytes;
  if (scratch.length < bytes.length) scratch = new Uint8Array(bytes.length);
  scratch.set(bytes);
  return { buffer: scratch.buffer, byteOffset: 0, byteLength: bytes.length };
}

/** The same as 32-bit words: whole words only. */
export function alignedWords(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset, byteLength } = alignedScratch(bytes, 4);
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}
