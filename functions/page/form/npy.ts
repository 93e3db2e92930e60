import { sizeOf } from '../model.ts';

/** The array of a `.npy` file: its values in row-major order. */
export interface NpyArray {
  /** The dtype in the names of the model's inputs. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The value at an index: a number, a bigint of 64 bits, a boolean or a text. */
  at(index: number): number | bigint | boolean | string;
}

const MAGIC = '\x93NUMPY';
/** Most bytes of a header: numpy writes about a hundred. */
const LONGEST_HEADER = 10_000;
const MOST_WITHOUT_BYTES = 10_000;
/** numpy's own limit. */
const MOST_DIMENSIONS = 64;
const DTYPES: Readonly<Record<string, string>> = {
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

/**
 * Reads a `.npy` file (numpy's NEP 1, versions 1 to 3). The header is compared with the one form that numpy writes; nothing in it is
 * evaluated, and no memory is reserved by what it says.
 * @throws Error that says what the file has instead.
 */
export function readNpy(bytes: Uint8Array): NpyArray {
  const text = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, 6) !== MAGIC) throw new Error('This is not a .npy file.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[6] ?? 0;
  if (major < 1 || major > 3) throw new Error(`This .npy file has version ${major}, and may have 1 to 3.`);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) throw new Error('The .npy file ends in its header.');
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > LONGEST_HEADER) throw new Error(`The header of the .npy file has ${length} bytes.`);
  const end = start + length;
  if (bytes.length < end) throw new Error('The .npy file ends in its header.');
  const { descr, isFortran, shape } = readHeader(text(start, end));
  const { dtype, width, read } = elementOf(descr, view);
  const count = sizeOf(shape);
  const has = bytes.length - end;
  if (!Number.isSafeInteger(count) || count * width !== has)
    throw new Error(`The .npy file has ${has} bytes of data; its shape [${shape.join(', ')}] takes ${count * width}.`);
  // Empty dimensions and texts take no bytes: what is written is bounded all the same.
  if (sizeOf(shape.map((dim) => Math.max(dim, 1))) > Math.max(has, MOST_WITHOUT_BYTES))
    throw new Error(`The shape [${shape.join(', ')}] of the .npy file has too many empty elements.`);
  const place = isFortran ? fortranOrder(shape) : (index: number): number => index;
  return { dtype, shape, at: (index) => read(end + place(index) * width) };
}

interface Header {
  readonly descr: string;
  readonly isFortran: boolean;
  readonly shape: readonly number[];
}

function readHeader(header: string): Header {
  const found =
    /^\{\s*'descr':\s*(.+?),\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d\s,L]*)\),?\s*\}\s*$/.exec(header);
  if (found === null) throw new Error('The header of the .npy file is not as numpy writes it.');
  const shape = found[3]!
    .split(',')
    .map((dim) => dim.trim().replace(/L$/, ''))
    .filter((dim) => dim !== '')
    .map(Number);
  if (shape.length > MOST_DIMENSIONS) throw new Error(`The .npy file has ${shape.length} dimensions.`);
  if (!shape.every(Number.isSafeInteger)) throw new Error('The shape of the .npy file is not of whole numbers.');
  return { descr: found[1]!, isFortran: found[2] === 'True', shape };
}

/** The dtype, bytes and reader of an element. @param descr such as `'<f4'`, quotes included. */
function elementOf(
  descr: string,
  view: DataView,
): { dtype: string; width: number; read(at: number): ReturnType<NpyArray['at']> } {
  const [, order = '', kind = '', digits = ''] = /^'([<>|=]?)([a-zA-Z])(\d{0,6})'$/.exec(descr) ?? [];
  const width = Number(digits);
  const little = order !== '>';
  if (kind === 'U') {
    return { dtype: 'string', width: width * 4, read: (at) => codePoints(view, at, width, little) };
  }
  const dtype = DTYPES[kind + digits];
  if (dtype === undefined) {
    const what = kind === 'O' ? 'Python objects' : `the dtype ${descr.slice(0, 80)}`;
    throw new Error(`The .npy file has ${what}: save numbers, booleans or texts.`);
  }
  const readers: Record<string, (at: number) => ReturnType<NpyArray['at']>> = {
    b1: (at) => view.getUint8(at) !== 0,
    i1: (at) => view.getInt8(at),
    i2: (at) => view.getInt16(at, little),
    i4: (at) => view.getInt32(at, little),
    i8: (at) => view.getBigInt64(at, little),
    u1: (at) => view.getUint8(at),
    u2: (at) => view.getUint16(at, little),
    u4: (at) => view.getUint32(at, little),
    u8: (at) => view.getBigUint64(at, little),
    f2: (at) => halfOf(view.getUint16(at, little)),
    f4: (at) => view.getFloat32(at, little),
    f8: (at) => view.getFloat64(at, little),
  };
  return { dtype, width, read: readers[kind + digits]! };
}

/** A text of 32-bit code points, padded with zeros. */
function codePoints(view: DataView, at: number, length: number, little: boolean): string {
  let text = '';
  for (let i = 0; i < length; i++) {
    const code = view.getUint32(at + i * 4, little);
    if (code > 0x10ffff) throw new Error('A text of the .npy file is not Unicode.');
    text += String.fromCodePoint(code);
  }
  return text.replace(/\0+$/, '');
}

/** The number of 16 bits (IEEE 754, binary16). */
function halfOf(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The place of an element, by its row-major index, in a file whose first dimension varies fastest. */
function fortranOrder(shape: readonly number[]): (index: number) => number {
  return (index) => {
    let rest = index;
    let place = 0;
    for (let axis = shape.length - 1, size = sizeOf(shape); axis >= 0; axis--) {
      size /= shape[axis]!;
      place += (rest % shape[axis]!) * size;
      rest = Math.floor(rest / shape[axis]!);
    }
    return place;
  };
}
