/**
 * The module of simd.ts, as its instructions (WebAssembly 2.0, chapter 5): the build has no compiler for it.
 */

/** Bytes, in their order. */
type Code = readonly (number | Code)[];

function flatten(code: Code): number[] {
  return code.flatMap((part) => (typeof part === 'number' ? [part] : flatten(part)));
}

/** A signed LEB128 number, which is an unsigned one too if it is from 0 to 63. */
function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const low = rest & 0x7f;
    if (rest >> 6 === 0 || rest >> 6 === -1) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

const counted = (code: Code): Code => {
  const bytes = flatten(code);
  return [unsigned(bytes.length), bytes];
};
const vector = (items: readonly Code[]): Code => [unsigned(items.length), ...items];
const section = (id: number, items: readonly Code[]): Code => [id, counted(vector(items))];
const name = (text: string): Code => vector([...Buffer.from(text)].map((byte) => [byte]));

const I32 = 0x7f;
const V128 = 0x7b;
const get = (local: number): Code => [0x20, local];
const set = (local: number, ...value: Code): Code => [...value, 0x21, local];
const constant = (value: number): Code => [0x41, leb(value)];
const add = (a: Code, b: Code): Code => [a, b, 0x6a];
const multiply = (a: Code, b: Code): Code => [a, b, 0x6c];
const load = (address: Code): Code => [address, 0x28, 2, 0];
/** The element of an array of int32. */
const element = (array: number, index: number): Code => load(add(get(array), multiply(get(index), constant(4))));
/** Runs the code, and again while the first local is less than the second. */
const repeat = (code: Code, local: number, end: number): Code => [
  ...[0x03, 0x40, code],
  ...[get(local), get(end), 0x49, 0x0d, 0, 0x0b],
];
const advance = (local: number, by: Code): Code => set(local, add(get(local), by));

const simd = (operation: number, ...operands: Code): Code => [operands, 0xfd, unsigned(operation)];
const lanes = {
  load: (address: Code): Code => [simd(0x00, address), 0, 0],
  load4Bytes: (address: Code): Code => [simd(0x5c, address), 0, 0],
  loadSplat: (address: Code): Code => [simd(0x09, address), 2, 0],
  splat: (value: Code): Code => simd(0x11, value),
  lowBytes: (value: Code): Code => simd(0x89, value),
  highBytes: (value: Code): Code => simd(0x8a, value),
  low: (value: Code): Code => simd(0xa9, value),
  high: (value: Code): Code => simd(0xaa, value),
  add: (a: Code, b: Code): Code => simd(0xae, a, b),
  multiply: (a: Code, b: Code): Code => simd(0xb5, a, b),
  shift: (value: Code, bits: number): Code => simd(0xac, value, constant(bits)),
  /** int32 to int16, clamped. */
  narrow: (a: Code, b: Code): Code => simd(0x85, a, b),
  /** int16 to uint8, clamped. */
  narrowToBytes: (a: Code, b: Code): Code => simd(0x66, a, b),
};

interface Rounding {
  readonly half: number;
  readonly bits: number;
}

/** `rows` of `Kernels`. */
function rowsCode({ half, bits }: Rounding): Code {
  const [source, sourceEnd, sourceStride, target, firsts, counts, weights, stride, count] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const [x, pixel, weight, weightEnd, sum] = [9, 10, 11, 12, 13];
  const tap: Code = [
    set(
      sum,
      lanes.add(
        get(sum),
        lanes.multiply(lanes.low(lanes.lowBytes(lanes.load4Bytes(get(pixel)))), lanes.loadSplat(get(weight))),
      ),
    ),
    advance(pixel, constant(3)),
    advance(weight, constant(4)),
  ];
  const shifted = lanes.shift(get(sum), bits);
  const narrowed = lanes.narrow(shifted, shifted);
  const column: Code = [
    set(pixel, add(get(source), element(firsts, x))),
    set(weight, add(get(weights), multiply(get(x), get(stride)))),
    set(weightEnd, add(get(weight), multiply(element(counts, x), constant(4)))),
    set(sum, lanes.splat(constant(half))),
    repeat(tap, weight, weightEnd),
    // Four bytes, of which the next pixel replaces the last.
    [get(target), simd(0x1b, lanes.narrowToBytes(narrowed, narrowed)), 0, 0x36, 0, 0],
    advance(target, constant(3)),
    advance(x, constant(1)),
  ];
  const row: Code = [set(x, constant(0)), repeat(column, x, count), advance(source, get(sourceStride))];
  return [
    vector([
      [4, I32],
      [1, V128],
    ]),
    repeat(row, source, sourceEnd),
    0x0b,
  ];
}

/** `columns` of `Kernels`. */
function columnsCode({ half, bits }: Rounding): Code {
  const [source, length, target, firsts, counts, weights, stride, count] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [y, x, pixel, weight, weightEnd, base, firstWeight] = [8, 9, 10, 11, 12, 13, 14];
  const [sum0, sum1, sum2, sum3, bytes, factor] = [15, 16, 17, 18, 19, 20];
  const sums = [sum0, sum1, sum2, sum3];
  const words = [lanes.lowBytes(get(bytes)), lanes.highBytes(get(bytes))];
  const parts = words.flatMap((word) => [lanes.low(word), lanes.high(word)]);
  const tap: Code = [
    set(bytes, lanes.load(get(pixel))),
    set(factor, lanes.loadSplat(get(weight))),
    ...sums.map((sum, i) => set(sum, lanes.add(get(sum), lanes.multiply(parts[i]!, get(factor))))),
    advance(pixel, get(length)),
    advance(weight, constant(4)),
  ];
  const shifted = sums.map((sum) => lanes.shift(get(sum), bits));
  const narrowed = lanes.narrowToBytes(lanes.narrow(shifted[0]!, shifted[1]!), lanes.narrow(shifted[2]!, shifted[3]!));
  const sixteen: Code = [
    ...sums.map((sum) => set(sum, lanes.splat(constant(half)))),
    set(pixel, add(get(base), get(x))),
    set(weight, get(firstWeight)),
    repeat(tap, weight, weightEnd),
    // Beyond the row's end, the next row replaces them.
    [add(get(target), get(x)), simd(0x0b, narrowed), 0, 0],
    advance(x, constant(16)),
  ];
  const row: Code = [
    set(base, add(get(source), element(firsts, y))),
    set(firstWeight, add(get(weights), multiply(get(y), get(stride)))),
    set(weightEnd, add(get(firstWeight), multiply(element(counts, y), constant(4)))),
    set(x, constant(0)),
    repeat(sixteen, x, length),
    advance(target, get(length)),
    advance(y, constant(1)),
  ];
  return [
    vector([
      [7, I32],
      [6, V128],
    ]),
    set(y, constant(0)),
    repeat(row, y, count),
    0x0b,
  ];
}

/**
 * The bytes of a module with a memory, `memory`, and the functions `rows` and `columns`: see `Kernels`.
 * @param rounding what sums begin with, and by how many bits they are shifted
 */
export function simdModule(rounding: Rounding): Uint8Array<ArrayBuffer> {
  const type = (parameters: number): Code => [0x60, vector(new Array<Code>(parameters).fill([I32])), vector([])];
  return Uint8Array.from(
    flatten([
      ...[...Buffer.from('\0asm'), 1, 0, 0, 0],
      section(1, [type(9), type(8)]),
      section(3, [[0], [1]]),
      section(5, [[0, 1]]),
      section(7, [
        [name('memory'), 2, 0],
        [name('rows'), 0, 0],
        [name('columns'), 0, 1],
      ]),
      section(10, [counted(rowsCode(rounding)), counted(columnsCode(rounding))]),
    ]),
  );
}
