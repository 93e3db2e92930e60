import fc from 'fast-check';
import {
  DTYPES,
  type DType,
  elementCount,
  type NumericData,
  type Tensor,
  valuesOf,
} from '../../functions/tensor/tensor.ts';

const ALL = Object.keys(DTYPES) as DType[];

/**
 * Texts that UTF-8 and a model can hold: no NUL, no half of a surrogate pair. `fc.string` of all code points makes a table of
 * them first, which takes most of a second.
 */
const character = fc.oneof(
  fc.integer({ min: 1, max: 0x7f }),
  fc.integer({ min: 0x80, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
);
const text = fc.array(character, { maxLength: 6 }).map((points) => String.fromCodePoint(...points));

/** Any tensor of at most 27 elements: every dtype, every rank from 0 to 3, any bits that the dtype allows, and no elements too. */
export const anyTensor = (dtypes: readonly DType[] = ALL): fc.Arbitrary<Tensor> =>
  fc
    .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(3), { maxLength: 3 }))
    .chain(([dtype, dims]) => dataOf(dtype, elementCount(dims)).map((data) => ({ dtype, dims, data })));

function dataOf(dtype: DType, count: number): fc.Arbitrary<Tensor['data']> {
  const length = { minLength: count, maxLength: count };
  if (dtype === 'string') return fc.array(text, length);
  if (dtype === 'bool') return fc.uint8Array({ ...length, max: 1 });
  const bytes = DTYPES[dtype].bytes * count;
  return fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((bits) => DTYPES[dtype].view(Uint8Array.from(bits).buffer, 0, count));
}

/**
 * A tensor as the binary tensor data extension has it: little-endian, row-major, without padding; a BYTES element is its length
 * as a uint32 and its UTF-8. Written by itself, as a client of the protocol would.
 */
export function wireBytes({ dtype, data }: Tensor): Buffer {
  if (dtype === 'string') {
    const parts = (data as string[]).flatMap((value) => {
      const bytes = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    });
    return Buffer.concat(parts);
  }
  const size = DTYPES[dtype].bytes;
  const wire = Buffer.alloc(size * data.length);
  const view = new DataView((data as NumericData).buffer, (data as NumericData).byteOffset);
  const isLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  for (let i = 0; i < data.length; i++) {
    for (let byte = 0; byte < size; byte++) {
      wire[i * size + byte] = view.getUint8(i * size + (isLittle ? byte : size - 1 - byte));
    }
  }
  return wire;
}

/** What of a tensor survives JSON, for a comparison: all bits, but for those of NaN, of which JSON has one. */
export function comparable(tensor: Tensor) {
  const { dtype, dims } = tensor;
  if (!dtype.startsWith('float')) return { dtype, dims, data: wireBytes(tensor) };
  return { dtype, dims, data: Array.from(valuesOf(tensor)) };
}

/** A copy of the bytes that lies `lead` bytes from the start of its memory. */
export function placedAt(lead: number, bytes: Uint8Array): Buffer {
  const whole = Buffer.alloc(lead + bytes.length, 0xee);
  whole.set(bytes, lead);
  return whole.subarray(lead);
}
