import { textOfFloat16 } from './json/float-digits.ts';
import {
  endText,
  startText,
  writeCharacter,
  writeComma,
  writeFloat32,
  writeFloat64,
  writeInteger,
  writeText,
  writeWord,
} from './json/writer.ts';
import { type DType, float16View, type Tensor, type TensorData } from './tensor.ts';

const OPEN = 0x5b;
const CLOSE = 0x5d;

/** Appends the elements from `from` to `to` (exclusive), with commas between them. */
type Writer = (data: TensorData, from: number, to: number) => void;

/**
 * The writer of each dtype: floats in the fewest digits that read back as the same value, integers with all their digits. JSON has
 * no NaN and no infinities: they are the strings "NaN", "Infinity" and "-Infinity", as in protobuf's JSON mapping
 * (https://protobuf.dev/programming-guides/json/).
 */
const WRITERS: Readonly<Record<DType, Writer>> = {
  float16: writeFloat16s,
  float32: writeFloat32s,
  float64: writeFloat64s,
  int8: writeIntegers,
  int16: writeIntegers,
  int32: writeIntegers,
  int64: writeBigIntegers,
  uint8: writeIntegers,
  uint16: writeIntegers,
  uint32: writeIntegers,
  uint64: writeBigIntegers,
  bool: writeBools,
  string: writeStrings,
};

/** The JSON text of the element at a row-major index. */
export function encodeValue({ dtype, data }: Tensor, index: number): string {
  startText();
  WRITERS[dtype](data, index, index + 1);
  return endText();
}

/**
 * The JSON text of one row: the elements at index `row` of dimension 0, nested by the other dimensions. A row of a rank 1 tensor is
 * a scalar without brackets. A rank 0 tensor is one row.
 */
export function encodeRow(tensor: Tensor, row: number): string {
  if (tensor.dims.length <= 1) return encodeValue(tensor, tensor.dims.length === 0 ? 0 : row);
  let width = 1;
  for (let level = 1; level < tensor.dims.length; level++) width *= tensor.dims[level]!;
  startText();
  writeNested(tensor, WRITERS[tensor.dtype], 1, row * width);
  return endText();
}

/** The JSON text of a complete tensor, nested by its dims; a scalar without brackets for rank 0. */
export function encodeNested(tensor: Tensor): string {
  if (tensor.dims.length === 0) return encodeValue(tensor, 0);
  startText();
  writeNested(tensor, WRITERS[tensor.dtype], 0, 0);
  return endText();
}

/**
 * As {@link encodeRow}, or {@link encodeNested} for a negative `row`, of a tensor whose strings are JSON texts: they become parts of the
 * text, see `TensorSpec.json`.
 */
export function encodeJson(tensor: Tensor, row: number): string {
  const { dims, data } = tensor;
  const level = row < 0 ? 0 : 1;
  if (dims.length <= level) return data[dims.length === 0 ? 0 : row] as string;
  startText();
  writeNested(tensor, writeJsonTexts, level, row < 0 ? 0 : (row * data.length) / dims[0]!);
  return endText();
}

/** The JSON text of all elements as one array, row-major, whatever the dims. */
export function encodeFlat({ dtype, data }: Tensor): string {
  startText();
  writeCharacter(OPEN);
  WRITERS[dtype](data, 0, data.length);
  writeCharacter(CLOSE);
  return endText();
}

/** Writes the array of dimension `level` that starts at a row-major offset. @returns the offset after it */
function writeNested(tensor: Tensor, write: Writer, level: number, offset: number): number {
  const length = tensor.dims[level]!;
  let next = offset;
  writeCharacter(OPEN);
  if (level === tensor.dims.length - 1) {
    next += length;
    write(tensor.data, offset, next);
  } else {
    for (let i = 0; i < length; i++) {
      if (i > 0) writeComma();
      next = writeNested(tensor, write, level + 1, next);
    }
  }
  writeCharacter(CLOSE);
  return next;
}

function writeFloat32s(data: TensorData, from: number, to: number): void {
  const floats = data as Float32Array;
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    writeFloat32(floats[i]!);
  }
}

function writeFloat64s(data: TensorData, from: number, to: number): void {
  const floats = data as Float64Array;
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    writeFloat64(floats[i]!);
  }
}

function writeFloat16s(data: TensorData, from: number, to: number): void {
  const bits = data as Uint16Array;
  const floats = float16View(bits);
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    const value = floats[i]!;
    if (Number.isFinite(value)) writeWord(textOfFloat16(value, bits[i]!));
    else writeFloat64(value);
  }
}

function writeIntegers(data: TensorData, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    writeInteger(data[i] as number);
  }
}

function writeBigIntegers(data: TensorData, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    const size = Number(data[i]);
    if (Number.isSafeInteger(size)) writeInteger(size);
    else writeWord(String(data[i]));
  }
}

function writeBools(data: TensorData, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    writeWord(data[i] === 0 ? 'false' : 'true');
  }
}

/** A lone surrogate has no UTF-8: it becomes U+FFFD. */
function writeStrings(data: TensorData, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    writeText(JSON.stringify((data[i] as string).toWellFormed()));
  }
}

function writeJsonTexts(data: TensorData, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    if (i > from) writeComma();
    writeText(data[i] as string);
  }
}
