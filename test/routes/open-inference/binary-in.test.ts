import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readBinary, readRaw } from '../../../functions/routes/open-inference/binary-in.ts';
import { DATATYPES } from '../../../functions/routes/open-inference/datatype.ts';
import type { DType, Signature, Tensor } from '../../../functions/tensor/tensor.ts';
import { anyTensor, placedAt, wireBytes } from '../../helpers/any-tensor.ts';
import { tensorSpec } from '../../helpers/generation-stub.ts';
import { texts } from '../../helpers/open-inference.ts';

const PATH = 'inputs[2].parameters.binary_data_size';
const read = (bytes: Uint8Array, { dtype, dims }: Pick<Tensor, 'dtype' | 'dims'>): Tensor =>
  readBinary(bytes, dtype, dims, 'inputs[2]');
const raw = (body: Uint8Array, dtype: DType, shape: readonly number[], joinsRows = true): Tensor => {
  const signature: Signature = { inputs: [tensorSpec('x', dtype, ...shape)], outputs: [] };
  return readRaw(body, signature, joinsRows);
};
/** The bits of numbers: NaN has several, and -0 is not 0. */
const bitsOf = (tensor: Tensor) => ({ ...tensor, data: wireBytes(tensor).toString('hex') });

test('a tensor of any dtype is read from its little-endian bytes, bit by bit, wherever they lie in memory', () => {
  fc.assert(
    fc.property(anyTensor(), fc.nat(9), (tensor, lead) => {
      const decoded = read(placedAt(lead, wireBytes(tensor)), tensor);
      assert.deepEqual(bitsOf(decoded), bitsOf(tensor));
      assert.equal(decoded.data.constructor, tensor.data.constructor);
    }),
    { numRuns: 150 },
  );
});

test('float16 is read as its bits: 1 is 0x3c00', () => {
  const { data } = read(Uint8Array.of(0x00, 0x3c, 0x00, 0xc0), { dtype: 'float16', dims: [2] });
  assert.deepEqual([...new Float16Array((data as Uint16Array).buffer, (data as Uint16Array).byteOffset, 2)], [1, -2]);
});

test('bytes that are cut, or have more behind them, are refused with the place of the input', () => {
  const change = fc.oneof(
    fc.record({ cut: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) }),
    fc.record({ more: fc.uint8Array({ minLength: 1, maxLength: 9 }) }),
  );
  fc.assert(
    fc.property(anyTensor(), change, (tensor, given) => {
      const whole = wireBytes(tensor);
      fc.pre('more' in given || whole.length > 0);
      const bytes = 'more' in given ? Buffer.concat([whole, given.more]) : whole.subarray(0, whole.length * given.cut);
      assert.throws(() => read(bytes, tensor), {
        code: 'INVALID_INPUT',
        path: PATH,
        message: /^inputs\[2\]\.parameters\.binary_data_size: /,
      });
    }),
    { numRuns: 150 },
  );
});

test('an error says how many bytes the shape takes and how many came', () => {
  for (const [dtype, expected] of [
    ['float32', 'expected 24 bytes for FP32 [2,3], got 23'],
    ['int64', 'expected 48 bytes for INT64 [2,3], got 23'],
    ['bool', 'expected 6 bytes for BOOL [2,3], got 23'],
    ['string', '6 texts with their lengths, got 23 bytes'],
  ] as const) {
    assert.throws(
      () => read(new Uint8Array(23), { dtype, dims: [2, 3] }),
      ({ message }: Error) => message.endsWith(expected),
      DATATYPES[dtype],
    );
  }
});

test('a text with a length beyond the data is refused', () => {
  const bytes = texts('ab', 'cd');
  bytes.writeUInt32LE(0xffff_ffff, 6);
  assert.throws(() => read(bytes, { dtype: 'string', dims: [2] }), { path: PATH, message: /within text 1 of 2/ });
});

test('a text that is not UTF-8, or has a NUL, is refused with its index', () => {
  const invalid = Buffer.concat([texts('ab'), Buffer.of(2, 0, 0, 0, 0xc3, 0x28)]);
  assert.throws(() => read(invalid, { dtype: 'string', dims: [2] }), { message: /^inputs\[2\]: text 1 is not UTF-8/ });
  const cut = texts('ab', 'c\0d');
  assert.throws(() => read(cut, { dtype: 'string', dims: [2] }), { message: /^inputs\[2\]: text 1: .*U\+0000/ });
});

test('a byte of BOOL is 0 or 1: another is refused with its value and its place', () => {
  const bytes = Uint8Array.of(0, 1, 1, 2, 255);
  assert.throws(() => read(bytes, { dtype: 'bool', dims: [5] }), {
    code: 'INVALID_INPUT',
    message: 'inputs[2]: expected a byte of 0 or 1 for each BOOL, got 2 at byte 3',
  });
});

test('a raw body is a batch of one, and its length gives the one open dimension; a byte more or less is refused', () => {
  fc.assert(
    fc.property(anyTensor(['int8', 'float16', 'uint32', 'float64']), fc.nat(7), ({ dtype, data }, lead) => {
      const pairs: Tensor = { dtype, dims: [1, data.length, 1], data };
      const body = wireBytes(pairs);
      assert.deepEqual(bitsOf(raw(placedAt(lead, body), dtype, [-1, -1, 1])), bitsOf(pairs));
      if (dtype === 'int8') return;
      for (const wrong of [Buffer.concat([body, Buffer.of(0)]), body.subarray(1)].slice(0, body.length === 0 ? 1 : 2)) {
        assert.throws(() => raw(wrong, dtype, [-1, -1, 1]), {
          code: 'INVALID_INPUT',
          message: /^the body: expected a multiple/,
        });
      }
    }),
  );
});

test('a raw body of a model without open dimensions has exactly their bytes', () => {
  assert.deepEqual(raw(wireBytes({ dtype: 'int32', dims: [], data: Int32Array.of(-7) }), 'int32', []), {
    dtype: 'int32',
    dims: [],
    data: Int32Array.of(-7),
  });
  assert.throws(() => raw(new Uint8Array(5), 'int32', []), {
    message: 'the body: expected 4 bytes for INT32 [], got 5',
  });
});

test('a raw text is the body as it is, without a length before it', () => {
  for (const text of ['', 'blåbær', '\u0003\u0001 no length']) {
    assert.deepEqual(raw(Buffer.from(text), 'string', [-1, 1]), { dtype: 'string', dims: [1, 1], data: [text] });
  }
  assert.throws(() => raw(Buffer.from('a\0b'), 'string', [-1]), { message: /^input x: .*U\+0000/ });
});
