/**
 * What a file that masks cannot be read from is instead, told by its bytes, and what to do about
 * it.
 */

interface Lookalike {
  readonly is: string;
  readonly hint: string;
  /** Latin-1 text at `at` (default 0), in any case. */
  readonly magic: string;
  readonly at?: number;
}

const DOWNLOAD = 'download the file itself';
const UNPACK = 'unpack it first';
const CONVERT = 'write the masks to an npz file: numpy.savez(path, **masks)';
const CHECKPOINT = 'the checkpoint itself, or masks as PyTorch, safetensors, NumPy or JSON files (docs/masks.md)';

const LOOKALIKES: readonly Lookalike[] = [
  {
    magic: 'version https://git-lfs',
    is: 'it is a Git LFS pointer, not the file itself',
    hint: 'git lfs pull, in the repository it came from',
  },
  { magic: '<!doctype', is: 'it is a web page: the download went wrong', hint: DOWNLOAD },
  { magic: '<html', is: 'it is a web page: the download went wrong', hint: DOWNLOAD },
  { magic: '<?xml', is: 'it is an XML file', hint: CHECKPOINT },
  { magic: '\x89HDF', is: 'it is an HDF5 file, as Keras writes them', hint: CONVERT },
  { magic: '\x1f\x8b', is: 'it is compressed with gzip', hint: `${UNPACK}: gunzip` },
  { magic: '\x28\xb5\x2f\xfd', is: 'it is compressed with zstd', hint: `${UNPACK}: unzstd` },
  { magic: 'BZh', is: 'it is compressed with bzip2', hint: `${UNPACK}: bunzip2` },
  { magic: '\xfd7zXZ', is: 'it is compressed with xz', hint: `${UNPACK}: unxz` },
  { magic: '7z\xbc\xaf', is: 'it is a 7z archive', hint: UNPACK },
  { magic: 'Rar!', is: 'it is a RAR archive', hint: UNPACK },
  { magic: '\x89PNG', is: 'it is a PNG image', hint: CHECKPOINT },
  { magic: '\xff\xd8\xff', is: 'it is a JPEG image', hint: CHECKPOINT },
  { magic: 'GGUF', is: 'it is a GGUF file', hint: CHECKPOINT },
  { magic: 'TFL3', at: 4, is: 'it is a TensorFlow Lite model', hint: CONVERT },
  { magic: 'ORTM', at: 4, is: "it is in ONNX Runtime's own ORT format", hint: 'the .onnx file it was made from' },
  {
    magic: 'model_checkpoint_path:',
    is: 'it is the index of a TensorFlow checkpoint',
    hint: 'read its variables in Python and write the masks to an npz file: numpy.savez(path, **masks)',
  },
];

/**
 * POSIX ustar, and the last bytes of an SSTable, in which TensorFlow keeps the names of a
 * checkpoint's variables.
 */
const TAR = { magic: 'ustar', at: 257 } as const;
const SSTABLE_END = '57fb808b247547db';

export function describeOther(bytes: Uint8Array): { readonly is: string; readonly hint: string } {
  if (bytes.length === 0) return { is: 'it is empty', hint: 'save or copy it again' };
  const start = Buffer.from(bytes.subarray(0, 64)).toString('latin1').toLowerCase();
  const found = LOOKALIKES.find(({ magic, at = 0 }) => start.startsWith(magic.toLowerCase(), at));
  if (found !== undefined) return found;
  if (Buffer.from(bytes.subarray(TAR.at, TAR.at + TAR.magic.length)).toString('latin1') === TAR.magic)
    return {
      is: 'it is a tar archive (PyTorch wrote such files before 0.1.10)',
      hint: 'unpack it; a file of PyTorch itself: load it with an old PyTorch and save it again',
    };
  if (Buffer.from(bytes.subarray(-SSTABLE_END.length / 2)).toString('hex') === SSTABLE_END)
    return { is: 'it is a part of a TensorFlow checkpoint', hint: CONVERT };
  if (isZeros(bytes)) return { is: 'it holds nothing but zero bytes', hint: 'copy or download it again' };
  if (isText(bytes.subarray(0, 512))) return { is: 'it is text, and not JSON', hint: CHECKPOINT };
  return { is: 'its first bytes are of no format that masks are read from', hint: CHECKPOINT };
}

/** What a broken download leaves of a file whose size was known. */
function isZeros(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 4096).every((byte) => byte === 0);
}

function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}
