/** ONNX element types by name, with their numbers in a file: `TensorProto.DataType` of onnx.proto. */
export const DATA_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
} as const;

/** The name of an element type. */
export type DataTypeName = keyof typeof DATA_TYPES;

/** The bits of one element, by its number in a file. Strings have no entry. */
export const ELEMENT_BITS: ReadonlyMap<number, number> = new Map([
  [DATA_TYPES.uint4, 4],
  [DATA_TYPES.int4, 4],
  [DATA_TYPES.float4e2m1, 4],
  [DATA_TYPES.bool, 8],
  [DATA_TYPES.int8, 8],
  [DATA_TYPES.uint8, 8],
  [DATA_TYPES.float8e4m3fn, 8],
  [DATA_TYPES.float8e4m3fnuz, 8],
  [DATA_TYPES.float8e5m2, 8],
  [DATA_TYPES.float8e5m2fnuz, 8],
  [DATA_TYPES.float16, 16],
  [DATA_TYPES.bfloat16, 16],
  [DATA_TYPES.int16, 16],
  [DATA_TYPES.uint16, 16],
  [DATA_TYPES.float32, 32],
  [DATA_TYPES.int32, 32],
  [DATA_TYPES.uint32, 32],
  [DATA_TYPES.float64, 64],
  [DATA_TYPES.int64, 64],
  [DATA_TYPES.uint64, 64],
  [DATA_TYPES.complex64, 64],
  [DATA_TYPES.complex128, 128],
]);

/** `TensorProto.DataLocation` of onnx.proto. */
export const DATA_LOCATION = { default: 0, external: 1 } as const;

/** `AttributeProto.AttributeType` of onnx.proto. */
export const ATTRIBUTE_TYPES = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
} as const;
