/** NumPy's dtypes by kind and width, as a descr says them after the byte order. */
import {
  BOOL,
  DOUBLE,
  FLOAT,
  FLOAT16,
  INT16,
  INT32,
  INT64,
  INT8,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from '../../ir/tensor.js';

export const NUMPY_TYPES: ReadonlyMap<string, number> = new Map([
  ['f8', DOUBLE],
  ['f4', FLOAT],
  ['f2', FLOAT16],
  ['i8', INT64],
  ['i4', INT32],
  ['i2', INT16],
  ['i1', INT8],
  ['u8', UINT64],
  ['u4', UINT32],
  ['u2', UINT16],
  ['u1', UINT8],
  ['b1', BOOL],
]);
