import { parseJson, toJson } from '../json.ts';
import { isFixed, nestedShape, rowShapeOf, type Spec, shapeText, sizeOf } from '../model.ts';
import { type NpyArray, readNpy } from './npy.ts';

/** The value of an input that is too large for a text field. */
export interface LargeValue {
  /** What it is, for people. */
  readonly title: string;
  readonly shape: readonly number[];
  /** The number at an index, in row-major order, for a picture of it. */
  at(index: number): number;
  json(): string;
}

/** The sides of a made-up picture: a model may take none of one pixel. */
const FREE_SIDE = 224;

/** A shape with lengths for the free dimensions. */
export function typicalShape({ shape }: Spec): number[] {
  const row = rowShapeOf({ name: '', dtype: '', shape });
  const before = shape.length - row.length;
  return row.map((dim, axis) => (dim !== -1 ? dim : shape.length > 3 && axis + before > 1 ? FREE_SIDE : 1));
}

/** The JSON of a typical element: masks are of ones, as zeros would hide all that they cover. */
export function typicalElement({ name, dtype }: Spec): string {
  if (dtype === 'string') return '"a"';
  if (dtype === 'bool') return 'true';
  return /mask/i.test(name) ? '1' : '0';
}

/** A tensor of zeros, or other typical elements, for an input without an example. */
export function typicalValue(spec: Spec): LargeValue {
  const shape = typicalShape(spec);
  const element = typicalElement(spec);
  const what = element === '0' ? 'zeros' : `${element} in each place`;
  return {
    title: `Made up: ${what}, ${spec.dtype} ${shapeText(shape)}`,
    shape,
    at: () => 0,
    json: () => nestBy(shape, () => element),
  };
}

/** Writes nested arrays. @param at the JSON of the element at an index, in row-major order. */
export function nestBy(shape: readonly number[], at: (index: number) => string): string {
  let next = 0;
  const write = (axis: number): string => {
    if (axis === shape.length) return at(next++);
    const parts: string[] = [];
    for (let i = 0; i < shape[axis]!; i++) parts.push(write(axis + 1));
    return `[${parts.join(',')}]`;
  };
  return write(0);
}

const isInteger = (dtype: string): boolean => /^u?int/.test(dtype);

/** Reads a `.npy` file as the value of an input. @throws Error that says what the input takes, and what the file has. */
export function fromNpy(spec: Spec, name: string, bytes: Uint8Array): LargeValue {
  const array = readNpy(bytes);
  const fits =
    array.dtype === spec.dtype ||
    (spec.dtype.startsWith('float') && (array.dtype.startsWith('float') || isInteger(array.dtype))) ||
    (isInteger(spec.dtype) && isInteger(array.dtype));
  if (!fits) throw new Error(`${spec.name} takes ${spec.dtype}, and the file has ${array.dtype}.`);
  const shape = rowOf(spec, array.shape);
  return {
    title: `${name}: ${array.dtype} ${shapeText(shape)}`,
    shape,
    at: (index) => Number(array.at(index)),
    json: () => nestBy(shape, (index) => elementText(array, index)),
  };
}

/** The shape of the row in a file, which may have a batch dimension of 1. @throws Error if it is another shape. */
function rowOf(spec: Spec, shape: readonly number[]): readonly number[] {
  if (spec.anyRank) return shape;
  const expected = rowShapeOf(spec);
  const matches = (given: readonly number[]): boolean =>
    given.length === expected.length && given.every((dim, i) => expected[i] === -1 || expected[i] === dim);
  if (matches(shape)) return shape;
  if (shape[0] === 1 && matches(shape.slice(1))) return shape.slice(1);
  throw new Error(`${spec.name} takes the shape ${shapeText(expected)}, and the file has ${shapeText(shape)}.`);
}

/** Digits that are enough for a number of the dtype, and those to begin with. */
const DIGITS: Readonly<Record<string, readonly [number, number, (x: number) => number]>> = {
  float16: [4, 5, (x) => x],
  float32: [6, 9, Math.fround],
};

function elementText({ dtype, at }: NpyArray, index: number): string {
  const value = at(index);
  if (typeof value !== 'number') return typeof value === 'string' ? JSON.stringify(value) : String(value);
  if (!Number.isFinite(value)) return `"${value}"`;
  const [least, most, round] = DIGITS[dtype] ?? [17, 17, (x: number) => x];
  for (let digits = least; digits < most; digits++) {
    const short = Number(value.toPrecision(digits));
    if (round(short) === value) return String(short);
  }
  return String(value);
}

/** The longest text that is put into a field to be edited. */
const LONGEST_TEXT = 20_000;

/** Reads a JSON file: a short text, or the value of an input. @throws Error if it is no JSON. */
export function fromJson(spec: Spec, name: string, text: string): string | LargeValue {
  const value = parseJson(text);
  const short = toJson(value);
  if (short.length <= LONGEST_TEXT) return short;
  const shape = nestedShape(value);
  const numbers = sizeOf(shape) > 0 && isFixed(shape) ? ([value].flat(64) as unknown[]) : [];
  return {
    title: `${name}: ${spec.dtype} ${shapeText(shape)}`,
    shape,
    at: (index) => Number(numbers[index]),
    json: () => short,
  };
}
