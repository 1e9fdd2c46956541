/**
 * The parameters and buffers that an exporter lists, whether the graph still has them or not. The
 * dynamo exporter writes the signature of the exported program into the graph's metadata, one line
 * for each input:
 *
 *   p_layer1_0_bn1_bias: PARAMETER target='layer1.0.bn1.bias'
 *   b_position_ids: BUFFER target='position_ids' persistent=False
 */
import type { ModelProto } from './proto.js';

const SIGNATURE = 'pkg.torch.export.ExportedProgram.graph_signature';
const ENTRY = /^[^\n:]+: (?:PARAMETER|BUFFER) target=(['"])(.*?)\1(?: persistent=(True|False))?\s*$/gm;

/**
 * What a state dict of the exported module holds, under the names it has there; undefined where the
 * file has no list.
 */
export function listedParameters({ graph }: ModelProto): ReadonlySet<string> | undefined {
  const signature = graph?.metadataProps?.find(({ key }) => key === SIGNATURE)?.value;
  if (signature === undefined) return undefined;
  const names = [...signature.matchAll(ENTRY)].flatMap(([, , name = '', persistent]) =>
    persistent === 'False' ? [] : [name],
  );
  return names.length === 0 ? undefined : new Set(names);
}
