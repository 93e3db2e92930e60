import { HALF, PRECISION_BITS, type Weights } from './convolve.ts';
import { CHANNELS, type Pixels } from './pixels.ts';
import { simdModule } from './simd-module.ts';

/** The part of JavaScript's interface to WebAssembly that is used here: TypeScript has it among the types of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: Kernels };
};

/** Functions over `memory`, whose other arguments are addresses and numbers of bytes. Weights are as `Weights` has them. */
interface Kernels {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): void };
  /** Sums up pixels of each row. @param firsts byte offsets in a row; `stride`: bytes of the weights of a column */
  rows(...args: [source: number, sourceEnd: number, sourceStride: number, target: number, ...table: number[]]): void;
  /** Sums up rows of `length` bytes. @param firsts byte offsets of rows */
  columns(...args: [source: number, length: number, target: number, ...table: number[]]): void;
}

/** `convolveRows` and `convolveColumns` of convolve.ts, to the same bytes, in a third of the time. */
interface Convolution {
  convolveRows(image: Pixels, firstColumn: number, weights: Weights): Pixels;
  convolveColumns(image: Pixels, firstRow: number, weights: Weights): Pixels;
}

const PAGE_BYTES = 65_536;
/** Pixels of a picture are copied into the memory, at most as many at a time, unless one row has more. */
const MOST_BYTES = 2 ** 23;
/** Bytes that may be read and written beyond the end of a row. */
const SLACK = 16;

let loaded: Convolution | undefined | null = null;

/** The functions by the processor's vector instructions; undefined if it has none that V8 uses. */
export function simd(): Convolution | undefined {
  if (loaded === null) {
    try {
      const module = new WebAssembly.Module(simdModule({ half: HALF, bits: PRECISION_BITS }));
      loaded = create(new WebAssembly.Instance(module).exports);
    } catch {
      loaded = undefined;
    }
  }
  return loaded;
}

function create({ memory, rows, columns }: Kernels): Convolution {
  /** Puts a range of the weights at the beginning of the memory, with room for so many bytes behind them. */
  function place(weights: Weights, from: number, to: number, offsets: Int32Array, room: number) {
    const tables = [
      offsets,
      weights.count.subarray(from, to),
      weights.values.subarray(from * weights.stride, to * weights.stride),
    ];
    const [firsts, counts, values] = [0, offsets.byteLength, 2 * offsets.byteLength];
    const source = values + tables[2]!.byteLength;
    const missing = source + room - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    for (const [i, at] of [firsts, counts, values].entries()) new Int32Array(memory.buffer, at).set(tables[i]!);
    return {
      source,
      table: [firsts, counts, values, weights.stride * 4, to - from],
      bytes: new Uint8Array(memory.buffer),
    };
  }

  function convolveRows(image: Pixels, firstColumn: number, weights: Weights): Pixels {
    const width = weights.first.length;
    const stride = image.width * CHANNELS;
    const length = width * CHANNELS;
    const result = new Uint8Array(image.height * length);
    const offsets = weights.first.map((first) => (first - firstColumn) * CHANNELS);
    const step = Math.max(1, Math.floor(MOST_BYTES / (stride + length)));
    for (let y = 0; y < image.height; y += step) {
      const count = Math.min(step, image.height - y);
      const { source, table, bytes } = place(weights, 0, width, offsets, count * (stride + length) + 2 * SLACK);
      const end = source + count * stride;
      bytes.set(image.data.subarray(y * stride, (y + count) * stride), source);
      rows(source, end, stride, end + SLACK, ...table);
      result.set(bytes.subarray(end + SLACK, end + SLACK + count * length), y * length);
    }
    return { data: result, width, height: image.height };
  }

  function convolveColumns(image: Pixels, firstRow: number, weights: Weights): Pixels {
    const { first, count } = weights;
    const length = image.width * CHANNELS;
    const result = new Uint8Array(first.length * length);
    const convolve = (from: number, to: number): void => {
      const top = first[from]!;
      const height = first[to - 1]! + count[to - 1]! - top;
      if ((height + to - from) * length > MOST_BYTES && to - from > 1) {
        const middle = (from + to) >> 1;
        convolve(from, middle);
        convolve(middle, to);
        return;
      }
      const offsets = first.subarray(from, to).map((row) => (row - top) * length);
      const room = (height + to - from) * length + 2 * SLACK;
      const { source, table, bytes } = place(weights, from, to, offsets, room);
      const end = source + height * length;
      bytes.set(image.data.subarray((top - firstRow) * length, (top - firstRow + height) * length), source);
      columns(source, length, end + SLACK, ...table);
      result.set(bytes.subarray(end + SLACK, end + SLACK + (to - from) * length), from * length);
    };
    convolve(0, first.length);
    return { data: result, width: image.width, height: first.length };
  }

  return { convolveRows, convolveColumns };
}
