import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InitializerData, type InitializerType, initializer } from '../../../functions/onnx/proto/initializer.ts';

/** dtype, `TensorProto.DataType`, elements, and their bytes, little-endian. */
const table: [InitializerType, number, InitializerData, number[]][] = [
  ['float32', 1, [1, -2], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]],
  ['float64', 11, [1], [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]],
  ['float16', 10, Uint16Array.of(0x3c00), [0x00, 0x3c]],
  ['int8', 3, [-1], [0xff]],
  ['int16', 5, [-2], [0xfe, 0xff]],
  ['int32', 6, [258], [2, 1, 0, 0]],
  ['int64', 7, [-2], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['int64', 7, BigInt64Array.of(2n ** 62n), [0, 0, 0, 0, 0, 0, 0, 0x40]],
  ['uint8', 2, [255], [255]],
  ['uint16', 4, [258], [2, 1]],
  ['uint32', 12, [2 ** 32 - 1], [255, 255, 255, 255]],
  ['uint64', 13, [1], [1, 0, 0, 0, 0, 0, 0, 0]],
  ['bool', 9, [1, 0], [1, 0]],
];
for (const [dtype, number, data, bytes] of table) {
  test(`${dtype} elements from ${data.constructor.name} are little-endian raw data`, () => {
    const tensor = initializer('w', dtype, [data.length], data);
    assert.deepEqual([tensor.name, tensor.dataType, tensor.dims], ['w', number, [BigInt(data.length)]]);
    assert.deepEqual([...tensor.rawData], bytes);
  });
}

test('strings are UTF-8, in string_data, as raw_data must not hold them', () => {
  const { dataType, stringData, rawData } = initializer('s', 'string', [2, 1], ['ø', '']);
  assert.equal(dataType, 8);
  assert.deepEqual(stringData, [Uint8Array.of(0xc3, 0xb8), new Uint8Array(0)]);
  assert.equal(rawData.length, 0);
});

test('a view of a larger buffer gives its own elements, as a copy', () => {
  const buffer = Float32Array.of(9, 1, 9);
  const tensor = initializer('w', 'float32', [1], buffer.subarray(1, 2));
  buffer[1] = 5;
  assert.deepEqual([...tensor.rawData], [0, 0, 0x80, 0x3f]);
  assert.deepEqual([...initializer('b', 'uint8', [2], Buffer.from('hi')).rawData], [0x68, 0x69]);
});

test('a scalar has no dims and one element', () => {
  assert.deepEqual(initializer('s', 'float32', [], [1]).dims, []);
});

test('data that does not fill the shape is refused', () => {
  const expected = { name: 'RangeError', message: 'initializer w: expected 6 elements for [2,3], got 2' };
  assert.throws(() => initializer('w', 'float32', [2, 3], [1, 2]), expected);
});

test('data of another kind than the dtype is refused', () => {
  const wrong: [InitializerType, InitializerData][] = [
    ['float32', Float64Array.of(1)],
    ['float32', ['1']],
    ['string', [1]],
    ['float16', [1]],
  ];
  for (const [dtype, data] of wrong) {
    assert.throws(() => initializer('w', dtype, [1], data), new RegExp(`TypeError.*elements of a ${dtype} tensor`));
  }
});
