import { DATA_LOCATION, DATA_TYPES } from './data-type.ts';
import { type Bytes, type Field, fields, int64, int64s, text, textOf } from './wire.ts';

/** An initializer, or the tensor of an attribute. */
export interface ConstantTensor {
  readonly shape: readonly number[];
  /** Row-major; undefined for a tensor of more than {@link maxElements}, in another file, or of a type that is not read. */
  readonly elements: readonly number[] | undefined;
}

/** A tensor of more elements is not read: tensors that decide about shapes are far smaller. */
const MAX_READ_ELEMENTS = 256;
/** Floats that decide about shapes are scales, one for each axis. */
const MAX_READ_FLOATS = 16;

/** Reads a TensorProto of onnx.proto. @throws WireError */
export function readTensor(bytes: Bytes, { from, to }: Field): [name: string, tensor: ConstantTensor] {
  const shape: number[] = [];
  let [name, type, external] = ['', 0, false];
  let elements: number[] | undefined;
  let content: Field | undefined;
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1) shape.push(...int64s(bytes, field).map(Number));
    else if (field.number === 2 && field.wire === 0) type = Number(int64(bytes, field));
    else if (field.number === 8 && field.wire === 2) name = text(bytes, field);
    else if (field.number === 9 && field.wire === 2) content = field;
    else if (field.number === 14 && field.wire === 0) {
      external = Number(int64(bytes, field)) === DATA_LOCATION.external;
    } else if (field.number === 6 || elements === TOO_LONG) {
      // Skipped: string_data has a field for each element, and so has a list that is not packed.
    } else if (field.number === 4 || field.number === 5 || field.number === 7 || field.number === 10) {
      elements = appended(elements, bytes, field);
    }
  }
  const count = shape.reduce((total, size) => total * size, 1);
  if (external || count > maxElements(type)) return [name, { shape, elements: undefined }];
  if (content !== undefined) elements = rawElements(bytes.read(content.from, content.to), type);
  else if (!NUMBERS.has(type)) elements = undefined;
  else elements ??= [];
  return [name, { shape, elements: elements?.length === count ? elements : undefined }];
}

/** The most elements of a tensor that is read, by its type. */
function maxElements(type: number): number {
  return type === DATA_TYPES.float32 || type === DATA_TYPES.float64 ? MAX_READ_FLOATS : MAX_READ_ELEMENTS;
}

const TOO_LONG: number[] = [];

/** Types whose elements are stored as numbers in the lists of a TensorProto. float16 is not: it is stored as its bits. */
const NUMBERS: ReadonlySet<number> = new Set([
  DATA_TYPES.bool,
  DATA_TYPES.float32,
  DATA_TYPES.float64,
  DATA_TYPES.int8,
  DATA_TYPES.int16,
  DATA_TYPES.int32,
  DATA_TYPES.int64,
  DATA_TYPES.uint8,
  DATA_TYPES.uint16,
]);

/** Appends the elements of one field of `float_data`, `int32_data`, `int64_data` or `double_data` to those before. */
function appended(before: number[] | undefined, bytes: Bytes, field: Field): number[] {
  if (field.to - field.from > MAX_READ_ELEMENTS * 10) return TOO_LONG;
  const floats = field.number === 4 || field.number === 10;
  const next = floats
    ? rawElements(bytes.read(field.from, field.to), field.number === 4 ? DATA_TYPES.float32 : DATA_TYPES.float64)!
    : int64s(bytes, field).map(Number);
  const all = [...(before ?? []), ...next];
  return all.length > MAX_READ_ELEMENTS ? TOO_LONG : all;
}

/**
 * The elements of `raw_data`: little-endian, in the order of the tensor (`TensorProto.raw_data` of onnx.proto).
 * @param type of `DATA_TYPES`
 * @returns undefined for a type that is not read; the nearest double for an int64
 */
export function rawElements(raw: Uint8Array, type: number): number[] | undefined {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const read = (size: number, at: (offset: number) => number): number[] =>
    Array.from({ length: Math.floor(raw.length / size) }, (_, i) => at(i * size));
  switch (type) {
    case DATA_TYPES.int64:
      return read(8, (offset) => Number(view.getBigInt64(offset, true)));
    case DATA_TYPES.int32:
      return read(4, (offset) => view.getInt32(offset, true));
    case DATA_TYPES.float32:
      return read(4, (offset) => view.getFloat32(offset, true));
    case DATA_TYPES.float64:
      return read(8, (offset) => view.getFloat64(offset, true));
    case DATA_TYPES.bool:
    case DATA_TYPES.uint8:
      return [...raw];
    default:
      return undefined;
  }
}

/** Reads a SparseTensorProto of onnx.proto. Its name is that of its values; its elements are not read. @throws WireError */
export function readSparse(bytes: Bytes, { from, to }: Field): [name: string, tensor: ConstantTensor] {
  const shape: number[] = [];
  let name = '';
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1) name = textOf(bytes, field, 8);
    else if (field.number === 3) shape.push(...int64s(bytes, field).map(Number));
  }
  return [name, { shape, elements: undefined }];
}
