/**
 * What a file that is no ONNX model is instead: the commonest mix-ups, told by their first bytes,
 * and what to do.
 */

interface Lookalike {
  readonly is: string;
  readonly hint?: string;
  /** Latin-1 text at `at` (default 0). */
  readonly magic: string;
  readonly at?: number;
}

const EXPORT = 'a file written by torch.onnx.export, tf2onnx or another ONNX exporter';

const LOOKALIKES: readonly Lookalike[] = [
  {
    magic: 'version https://git-lfs',
    is: 'it is a Git LFS pointer, not the file itself',
    hint: 'git lfs pull, in the repository it came from',
  },
  {
    magic: 'PK\x03\x04',
    is: 'it is a zip archive, as PyTorch checkpoints are',
    hint: 'the ONNX export of that network; masks come from a checkpoint, the model does not',
  },
  {
    magic: '\x80\x02',
    is: 'it is a Python pickle, as old PyTorch checkpoints are',
    hint: 'the ONNX export of that network; masks come from a checkpoint, the model does not',
  },
  { magic: '\x89PNG', is: 'it is a PNG image' },
  { magic: '\xff\xd8\xff', is: 'it is a JPEG image' },
  { magic: '\x1f\x8b', is: 'it is compressed with gzip', hint: 'unpack it first: gunzip' },
  { magic: '\x89HDF', is: 'it is an HDF5 file, as Keras writes them', hint: 'export it: python -m tf2onnx.convert' },
  { magic: '<!doctype', is: 'it is a web page: the download went wrong', hint: 'download the file itself' },
  { magic: '<html', is: 'it is a web page: the download went wrong', hint: 'download the file itself' },
  { magic: 'TFL3', at: 4, is: 'it is a TensorFlow Lite model', hint: 'convert it: python -m tf2onnx.convert --tflite' },
  {
    magic: 'ORTM',
    at: 4,
    is: "it is in ONNX Runtime's own ORT format, which cannot be turned back",
    hint: 'the .onnx file it was made from',
  },
  { magic: '{', is: 'it is text, perhaps JSON' },
];

export function describeLookalike(bytes: Uint8Array): { readonly is: string; readonly hint: string } | undefined {
  if (bytes.length === 0) return { is: 'it is empty', hint: EXPORT };
  const start = Buffer.from(bytes.subarray(0, 64)).toString('latin1').toLowerCase();
  const found = LOOKALIKES.find(({ magic, at = 0 }) => start.startsWith(magic.toLowerCase(), at));
  if (found !== undefined) return { is: found.is, hint: found.hint ?? EXPORT };
  return isText(bytes.subarray(0, 512)) ? { is: 'it is text', hint: EXPORT } : undefined;
}

/** A model's first bytes are field tags and lengths, some of which no text has. */
function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}
