/**
 * The ONNX wire format as protobufjs needs it: one line per message, `field: id type`, `*` for
 * repeated.
 *
 * Field numbers follow onnx-ml.proto of ONNX 1.20 (IR version 13). Two departures, both to lose
 * nothing:
 * - enums are plain int32, so a value from the future survives;
 * - the packed number lists of TensorProto are `repeated bytes`, one entry per packed chunk. They
 *   stay zero-copy views (float_data of a large model would otherwise become one JavaScript number
 *   per weight) and go back byte for byte. An unpacked element has another wire type, lands among
 *   the unknown fields and is written again too.
 */
import type { onnx } from 'onnx-proto';
import protobuf from 'protobufjs';

type MessageSpec = Readonly<Record<string, string>>;

/**
 * Every field that onnx-proto knows of these messages must be in the table; newer ones may be
 * added.
 */
type Covers<Message> = Record<Exclude<keyof Message, 'segment'>, string> & MessageSpec;
interface Checked {
  AttributeProto: Covers<onnx.IAttributeProto>;
  ValueInfoProto: Covers<onnx.IValueInfoProto>;
  NodeProto: Covers<onnx.INodeProto>;
  GraphProto: Covers<onnx.IGraphProto>;
  TensorProto: Covers<onnx.ITensorProto>;
  OperatorSetIdProto: Covers<onnx.IOperatorSetIdProto>;
}

const MESSAGES: Readonly<Record<string, MessageSpec>> & Checked = {
  AttributeProto: {
    name: '1 string',
    refAttrName: '21 string',
    docString: '13 string',
    type: '20 int32',
    f: '2 float',
    i: '3 int64',
    s: '4 bytes',
    t: '5 TensorProto',
    g: '6 GraphProto',
    sparseTensor: '22 SparseTensorProto',
    tp: '14 TypeProto',
    floats: '7* float',
    ints: '8* int64',
    strings: '9* bytes',
    tensors: '10* TensorProto',
    graphs: '11* GraphProto',
    sparseTensors: '23* SparseTensorProto',
    typeProtos: '15* TypeProto',
  },
  ValueInfoProto: {
    name: '1 string',
    type: '2 TypeProto',
    docString: '3 string',
    metadataProps: '4* StringStringEntryProto',
  },
  NodeProto: {
    input: '1* string',
    output: '2* string',
    name: '3 string',
    opType: '4 string',
    domain: '7 string',
    overload: '8 string',
    attribute: '5* AttributeProto',
    docString: '6 string',
    metadataProps: '9* StringStringEntryProto',
  },
  ModelProto: {
    irVersion: '1 int64',
    opsetImport: '8* OperatorSetIdProto',
    producerName: '2 string',
    producerVersion: '3 string',
    domain: '4 string',
    modelVersion: '5 int64',
    docString: '6 string',
    graph: '7 GraphProto',
    metadataProps: '14* StringStringEntryProto',
    trainingInfo: '20* bytes',
    functions: '25* FunctionProto',
  },
  StringStringEntryProto: { key: '1 string', value: '2 string' },
  GraphProto: {
    node: '1* NodeProto',
    name: '2 string',
    initializer: '5* TensorProto',
    sparseInitializer: '15* SparseTensorProto',
    docString: '10 string',
    input: '11* ValueInfoProto',
    output: '12* ValueInfoProto',
    valueInfo: '13* ValueInfoProto',
    quantizationAnnotation: '14* TensorAnnotation',
    metadataProps: '16* StringStringEntryProto',
  },
  TensorAnnotation: { tensorName: '1 string', quantParameterTensorNames: '2* StringStringEntryProto' },
  TensorProto: {
    dims: '1* int64',
    dataType: '2 int32',
    segment: '3 bytes',
    floatData: '4* bytes',
    int32Data: '5* bytes',
    stringData: '6* bytes',
    int64Data: '7* bytes',
    name: '8 string',
    docString: '12 string',
    rawData: '9 bytes',
    externalData: '13* StringStringEntryProto',
    dataLocation: '14 int32',
    doubleData: '10* bytes',
    uint64Data: '11* bytes',
    metadataProps: '16* StringStringEntryProto',
  },
  SparseTensorProto: { values: '1 TensorProto', indices: '2 TensorProto', dims: '3* int64' },
  TensorShapeProto: { dim: '1* Dimension' },
  Dimension: { dimValue: '1 int64', dimParam: '2 string', denotation: '3 string' },
  // Types of values the compiler does not look into, as bytes.
  TypeProto: {
    tensorType: '1 TensorTypeProto',
    sequenceType: '4 bytes',
    mapType: '5 bytes',
    denotation: '6 string',
    opaqueType: '7 bytes',
    sparseTensorType: '8 bytes',
    optionalType: '9 bytes',
  },
  TensorTypeProto: { elemType: '1 int32', shape: '2 TensorShapeProto' },
  OperatorSetIdProto: { domain: '1 string', version: '2 int64' },
  FunctionProto: {
    name: '1 string',
    input: '4* string',
    output: '5* string',
    attribute: '6* string',
    attributeProto: '11* AttributeProto',
    node: '7* NodeProto',
    docString: '8 string',
    opsetImport: '9* OperatorSetIdProto',
    domain: '10 string',
    overload: '13 string',
    valueInfo: '12* ValueInfoProto',
    metadataProps: '14* StringStringEntryProto',
  },
};

function field(spec: string): protobuf.IField {
  const [id = '', type = ''] = spec.split(' ');
  const repeated = id.endsWith('*');
  return {
    id: Number.parseInt(id, 10),
    type,
    ...(repeated ? { rule: 'repeated' } : {}),
  };
}

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(MESSAGES).map(([message, fields]) => [
      message,
      // proto2: fields know whether they were set (an attribute i = 0 is written), repeated numbers
      // are unpacked.
      {
        edition: 'proto2',
        fields: Object.fromEntries(Object.entries(fields).map(([name, spec]) => [name, field(spec)])),
      },
    ]),
  ),
});

export const ModelType = root.lookupType('ModelProto');
export const GraphType = root.lookupType('GraphProto');
export const TensorType = root.lookupType('TensorProto');

// protobufjs answers '' or 0 for a field that the file does not have; the compiler must tell absent
// from empty.
for (const message of Object.keys(MESSAGES)) {
  const type = root.lookupType(message);
  const prototype = type.ctor.prototype as Record<string, unknown>;
  for (const { name, repeated } of type.fieldsArray) if (!repeated) prototype[name] = undefined;
}
