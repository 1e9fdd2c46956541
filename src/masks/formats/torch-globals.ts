/**
 * The names that a PyTorch file may use, and what they make here. The list follows PyTorch's own
 * for loading tensors only (torch/_weights_only_unpickler.py, _get_allowed_globals), with NumPy's
 * arrays and defaultdict: whatever is not on it is refused by name.
 */
import { FileTensor } from '../contents.js';
import { numpyGlobals } from './numpy-globals.js';
import type { PickleTable } from './pickle-machine.js';
import { Callable, Dict, List, Opaque, setItem, Tuple, type Value } from './pickle-values.js';
import { damaged, notMasks } from './refuse.js';
import {
  DTYPES,
  isCount,
  rebuildTensor,
  STORAGE_TYPES,
  type Storage,
  StorageRef,
  StorageType,
} from './torch-tensors.js';

/** What a persistent id names: ('storage', class, key, device, count, and in old files a view). */
export interface StorageId {
  readonly type: StorageType;
  readonly key: string;
  readonly sizeBytes: number;
  readonly view: Value;
}

const DENSE = 'save masks as dense tensors of bool, integers or floats';

/** Tensors that no mask is, by the last part of the name. */
const ODD_TENSORS: ReadonlyMap<string, string> = new Map([
  ['_rebuild_qtensor', 'a quantised tensor'],
  ['_rebuild_sparse_tensor', 'a sparse tensor'],
  ['_rebuild_sparse_csr_tensor', 'a sparse tensor'],
  ['_rebuild_nested_tensor', 'a nested tensor'],
  ['_rebuild_meta_tensor_no_storage', 'a tensor without data (device meta)'],
  ['_rebuild_wrapper_subclass', 'a tensor of a class of its own'],
  ['_rebuild_device_tensor_from_numpy', 'a tensor of another device'],
]);

export function torchTable(path: string, storageOf: (id: StorageId) => Storage): PickleTable {
  const globals = new Map([...plainGlobals(path), ...tensorGlobals(path), ...numpyGlobals(path)]);
  return {
    global: (module, name) => {
      refuseOddTensors(path, module, name);
      // Python 2 wrote `__builtin__`, and protocols 0 to 2 still do.
      return globals.get(`${module === '__builtin__' ? 'builtins' : module}.${name}`);
    },
    persistent: (id) => new Opaque(new StorageRef(storageOf(storageId(id, path)))),
  };
}

function refuseOddTensors(path: string, module: string, name: string): void {
  const odd = module === 'torch._utils' ? ODD_TENSORS.get(name) : undefined;
  if (odd !== undefined) throw notMasks(path, `${odd} is in it`, DENSE);
  if (module !== 'torch' && module !== 'torch.storage') return;
  const kind = /^(Complex|Q\w*?Int)\w*Storage$/.exec(name)?.[1];
  if (kind !== undefined)
    throw notMasks(
      path,
      `a ${kind === 'Complex' ? 'complex' : 'quantised'} tensor is in it (${module}.${name})`,
      DENSE,
    );
}

function callables(entries: Readonly<Record<string, (args: readonly Value[]) => Value>>): [string, Value][] {
  return Object.entries(entries).map(([name, call]) => [name, new Callable(name, call)]);
}

function plainGlobals(path: string): [string, Value][] {
  return callables({
    'collections.OrderedDict': ([pairs]) => orderedDict(pairs, path),
    'collections.Counter': ([counts]) => (counts instanceof Dict ? counts : new Dict()),
    // Its argument makes missing items: NNI saves its masks in a defaultdict of dicts.
    'collections.defaultdict': () => new Dict(),
    'builtins.dict': () => new Dict(),
    'builtins.list': () => new List(),
    'builtins.int': () => 0,
    'builtins.float': () => 0,
    'builtins.set': ([items]) => (items instanceof List ? items : new List()),
    'builtins.complex': ([real, imaginary]) => `${numberText(real, path)}+${numberText(imaginary, path)}j`,
    'builtins.bytearray': (args) => encoded(args, path),
    '_codecs.encode': (args) => encoded(args, path),
    'torch.Size': ([extents]) => (extents instanceof Tuple ? extents : new Tuple([])),
    'torch.device': (parts) =>
      parts.map((part) => (typeof part === 'string' ? part : numberText(part, path))).join(':'),
    'torch.serialization._get_layout': ([name]) => (typeof name === 'string' ? name : null),
  });
}

function tensorGlobals(path: string): [string, Value][] {
  const rebuild = (args: readonly Value[]) => rebuildTensor(args, path);
  const parameter = ([tensor]: readonly Value[]) => tensorOf(tensor, path);
  return [
    ...callables({
      'torch._utils._rebuild_tensor': rebuild,
      'torch._utils._rebuild_tensor_v2': rebuild,
      'torch._utils._rebuild_tensor_v3': (args) => rebuildTensor(args, path, dtypeOf(args[6], path)),
      'torch._utils._rebuild_parameter': parameter,
      'torch._utils._rebuild_parameter_with_state': parameter,
      'torch.nn.parameter.Parameter': parameter,
      'torch.Tensor': parameter,
      // A tensor with attributes: (function, class, its arguments, the attributes).
      'torch._tensor._rebuild_from_type_v2': ([inner, , args]) => {
        if (!(inner instanceof Callable) || !(args instanceof Tuple))
          throw damaged(path, 'a tensor in it is not rebuilt');
        return tensorOf(inner.call(args.items), path);
      },
    }),
    ...[...STORAGE_TYPES].map(([name, type]): [string, Value] => [name, new Opaque(new StorageType(type))]),
    ...[...DTYPES.keys()].map((name): [string, Value] => [name, name]),
  ];
}

function tensorOf(value: Value | undefined, path: string): Value {
  if (value instanceof Opaque && value.content instanceof FileTensor) return value;
  throw damaged(path, 'a parameter in it is not a tensor');
}

function dtypeOf(name: Value | undefined, path: string): number {
  const dataType = typeof name === 'string' ? DTYPES.get(name) : undefined;
  if (dataType === undefined) throw damaged(path, 'a tensor in it has no dtype');
  return dataType;
}

/** Protocols before 2 give the items as a list of pairs. */
function orderedDict(pairs: Value | undefined, path: string): Dict {
  const dict = new Dict();
  if (!(pairs instanceof List)) return dict;
  for (const pair of pairs.items) {
    const items = pair instanceof Tuple || pair instanceof List ? pair.items : [];
    const [key, value] = items;
    if (key === undefined || value === undefined) throw damaged(path, 'an OrderedDict in it is made of no pairs');
    setItem(dict, key, value, path);
  }
  return dict;
}

/** Protocol 2 has no bytes: they are text in Latin-1, and a call that turns them back. */
function encoded([text, encoding]: readonly Value[], path: string): Uint8Array {
  if (text === undefined) return new Uint8Array();
  if (text instanceof Uint8Array) return text;
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1'))
    throw damaged(path, 'bytes in it are in no encoding that pickles use');
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

function numberText(value: Value | undefined, path: string): string {
  if (typeof value !== 'number') throw damaged(path, 'a device or a complex number in it has odd parts');
  return String(value);
}

function storageId(id: Value, path: string): StorageId {
  if (typeof id === 'string')
    throw notMasks(
      path,
      'pickle protocol 0 cannot say which storage a tensor has',
      'save it without pickle_protocol=0',
    );
  const [kind, type, key, , count, view = null] = id instanceof Tuple ? id.items : [];
  const storageType = kind === 'storage' && type instanceof Opaque ? type.content : undefined;
  if (!(storageType instanceof StorageType) || typeof key !== 'string' || !isCount(count))
    throw damaged(path, 'a storage in it has no class, name or size');
  return { type: storageType, key, sizeBytes: storageType.bytesOf(count), view };
}
