/** Protobuf by hand, so that the codec is not tested with itself. */

export type Field = Uint8Array;

export function message(...fields: readonly Field[]): Buffer {
  return Buffer.concat(fields);
}

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

/** int32, int64, uint64 or an enum. */
export function int(field: number, value: number | bigint): Field {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

/** bytes, a string or a message. */
export function chunk(field: number, content: Uint8Array | string): Field {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

export function float32(field: number, value: number): Field {
  return Buffer.concat([varint(field * 8 + 5), Buffer.from(Float32Array.of(value).buffer)]);
}

export function float64(field: number, value: number): Field {
  return Buffer.concat([varint(field * 8 + 1), Buffer.from(Float64Array.of(value).buffer)]);
}

/** Fields that no ONNX version has yet, one of each wire type. */
export function future(tag = 'x'): Field {
  return message(int(901, 7), float64(902, 0.1), chunk(903, `future ${tag}`), float32(904, 2), int(905, -1));
}

/** A model around the fields of a graph, with opset 17. */
export function modelOf(...graph: readonly Field[]): Buffer {
  return message(int(1, 8), chunk(7, message(...graph)), chunk(8, message(chunk(1, ''), int(2, 17))));
}

/** NodeProto fields: Identity from `input` to `output`. */
export function identity(input: string, output: string, ...more: readonly Field[]): Field {
  return chunk(1, message(chunk(1, input), chunk(2, output), chunk(4, 'Identity'), ...more));
}

export function valueInfo(name: string, elemType = 1, dims: readonly number[] = [2]): Buffer {
  const shape = message(...dims.map((dim) => chunk(1, int(1, dim))));
  return message(chunk(1, name), chunk(2, chunk(1, message(int(1, elemType), chunk(2, shape)))));
}

/** An initializer of a graph: TensorProto with its data fields as given. */
export function initializer(name: string, dims: readonly number[], dataType: number, ...data: readonly Field[]): Field {
  const below = data.filter((field) => (field[0] ?? 0) < 8 * 8);
  const above = data.filter((field) => (field[0] ?? 0) >= 8 * 8);
  return chunk(5, message(...dims.map((dim) => int(1, dim)), int(2, dataType), ...below, chunk(8, name), ...above));
}
