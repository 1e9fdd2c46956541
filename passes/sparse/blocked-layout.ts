/**
 * The blocked layout of the native operators (kernels/README.md): planes of rows that share one
 * column of zeros. Repeated here for value_info, so that the runtime can let an operator write into
 * the buffer of its residual.
 */
const LANE = 16;
const HEADER = 16;

const roundUp = (value: number) => Math.ceil(value / LANE) * LANE;

/** How one channel of [H, W] lies: floats from row to row, and tiles of 16 floats that it takes. */
function planeOf(height: number, width: number): { pitch: number; tiles: number } {
  const tiles = (pitch: number) => Math.ceil(((height - 1) * pitch + width) / LANE);
  const wide = roundUp(width + 1);
  const pitch = tiles(wide) <= tiles(width + 1) ? wide : width + 1;
  return { pitch, tiles: tiles(pitch) };
}

/** Tiles of one channel [H, W]: what operators compute at a time. */
export function tilesOf(height: number, width: number): number {
  return planeOf(height, width).tiles;
}

/** Floats of one image [C, H, W]. */
export function blockedSize(channels: number, height: number, width: number): number {
  const { pitch, tiles } = planeOf(height, width);
  const lead = roundUp(pitch + 1);
  const stride = tiles * LANE + lead;
  // With an odd number of cache lines the planes do not all begin in the same cache set.
  return HEADER + lead + channels * ((stride / LANE) % 2 === 0 ? stride + LANE : stride);
}
