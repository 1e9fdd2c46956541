/** A model for tests of the package: what only `--sparse` makes smaller. */
import { graphBuilder } from '../../fixtures/networks/graph-builder.js';
import { normals, uniforms } from '../../fixtures/networks/random.js';

/**
 * Scattered zeros: nothing to remove, and a layer for a sparse operator, with enough to do to pay
 * for moving its data.
 */
export function sparseModel(): Uint8Array {
  const g = graphBuilder();
  const dims = [48, 48, 3, 3];
  const size = 48 * 48 * 9;
  const chance = uniforms(1, 'zeros', size);
  const data = normals(1, 'w', size, 0.1).map((value, at) => ((chance[at] ?? 0) < 0.9 ? 0 : value));
  g.output(g.op('Abs', [g.conv(g.input('x', [1, 48, 12, 12]), { data, dims }, { pads: 1 })]));
  return g.bytes();
}
