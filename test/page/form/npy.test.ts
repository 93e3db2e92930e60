import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readNpy } from '../../../functions/page/form/npy.ts';
import { header, npy } from './npy-file.ts';

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const all = (bytes: Uint8Array) => {
  const { at, shape } = readNpy(bytes);
  return Array.from({ length: shape.reduce((size, dim) => size * dim, 1) }, (_, i) => at(i));
};

const READ: [title: string, descr: string, data: ArrayBufferView, dtype: string, values: unknown[]][] = [
  ['float32', '<f4', Float32Array.of(1.5, -2), 'float32', [1.5, -2]],
  ['float64', '<f8', Float64Array.of(0.1, Number.NaN), 'float64', [0.1, Number.NaN]],
  ['float16', '<f2', Uint16Array.of(0x3c00, 0xfc00), 'float16', [1, Number.NEGATIVE_INFINITY]],
  ['a subnormal float16', '<f2', Uint16Array.of(1, 0x8000), 'float16', [2 ** -24, -0]],
  ['int64', '<i8', BigInt64Array.of(9_007_199_254_740_993n, -1n), 'int64', [9_007_199_254_740_993n, -1n]],
  ['uint8', '|u1', Uint8Array.of(0, 255), 'uint8', [0, 255]],
  ['int16, the highest byte first', '>i2', Uint8Array.of(1, 2, 255, 255), 'int16', [258, -1]],
  ['booleans', '|b1', Uint8Array.of(1, 0), 'bool', [true, false]],
  ['texts', '<U2', Uint32Array.of(0x1f600, 0x62, 0x61, 0), 'string', ['😀b', 'a']],
];
for (const [title, descr, data, dtype, values] of READ) {
  test(`${title}: read with every digit`, () => {
    const bytes = npy(header(descr, '(2,)'), bytesOf(data));
    assert.deepEqual(readNpy(bytes).shape, [2]);
    assert.equal(readNpy(bytes).dtype, dtype);
    assert.deepEqual(all(bytes), values);
  });
}

test('a scalar, versions 2 and 3, and an array in Fortran order', () => {
  assert.deepEqual(all(npy(header('<f4', '()'), bytesOf(Float32Array.of(7)))), [7]);
  for (const major of [2, 3]) assert.deepEqual(all(npy(header('|u1', '(1, 2)'), Uint8Array.of(3, 4), major)), [3, 4]);
  const columns = npy(header('|u1', '(2, 3)', true), Uint8Array.of(1, 4, 2, 5, 3, 6));
  assert.deepEqual(all(columns), [1, 2, 3, 4, 5, 6]);
  const cube = npy(header('|u1', '(2, 2, 2)', true), Uint8Array.of(0, 4, 2, 6, 1, 5, 3, 7));
  assert.deepEqual(all(cube), [0, 1, 2, 3, 4, 5, 6, 7]);
});

const none = new Uint8Array();
const HOSTILE: [title: string, bytes: Uint8Array, message: RegExp][] = [
  ['nothing', none, /not a \.npy file/],
  ['another file', Buffer.from('PK\u0003\u0004 a zip, as numpy.savez writes'), /not a \.npy file/],
  ['a version that does not exist', npy(header('<f4', '()'), none, 9), /version 9/],
  ['a file that ends after its magic', Uint8Array.of(0x93, ...Buffer.from('NUMPY'), 1, 0), /ends in its header/],
  ['a header that is longer than the file', npy(header('<f4', '()'), none).subarray(0, 40), /ends in its header/],
  [
    'a header of 4 GB',
    (() => {
      const bytes = npy(header('<f4', '()'), none, 2);
      bytes.fill(255, 8, 12);
      return bytes;
    })(),
    /header of the \.npy file has 4294967295 bytes/,
  ],
  ['code in the header', npy("__import__('os').system('id')", none), /not as numpy writes it/],
  [
    'more keys than numpy writes',
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", none),
    /not as numpy/,
  ],
  ['pickled objects', npy(header('|O', '(1,)'), none), /Python objects/],
  ['a record', npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", none), /dtype \[\('a'/],
  ['complex numbers', npy(header('<c16', '(1,)'), new Uint8Array(16)), /dtype '<c16'/],
  ['too few bytes', npy(header('<f4', '(3,)'), new Uint8Array(8)), /has 8 bytes of data; its shape \[3\] takes 12/],
  ['too many bytes', npy(header('<f4', '(1,)'), new Uint8Array(8)), /has 8 bytes/],
  [
    'a shape whose product is too large',
    npy(header('<f4', '(9007199254740991, 9007199254740991)'), none),
    /bytes of data/,
  ],
  ['a dimension that is no safe integer', npy(header('<f4', '(99999999999999999999,)'), none), /whole numbers/],
  ['a negative dimension', npy(header('<f4', '(-1,)'), none), /not as numpy writes it/],
  ['empty rows without end', npy(header('<f4', '(1000000000000, 0)'), none), /too many empty elements/],
  ['empty texts without end', npy(header('<U0', '(1000000000000,)'), none), /too many empty elements/],
  ['a hundred dimensions', npy(header('<f4', `(${'1, '.repeat(100)})`), new Uint8Array(4)), /100 dimensions/],
];
for (const [title, bytes, message] of HOSTILE) {
  test(`${title}: refused`, () => assert.throws(() => readNpy(bytes), { message }));
}

test('a text that is not Unicode is refused when it is read', () => {
  const { at } = readNpy(npy(header('<U1', '(1,)'), bytesOf(Uint32Array.of(0x110000))));
  assert.throws(() => at(0), /not Unicode/);
});
