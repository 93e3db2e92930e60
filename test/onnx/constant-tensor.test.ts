import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { type ConstantTensor, readSparse, readTensor } from '../../functions/onnx/constant-tensor.ts';
import { DATA_LOCATION, DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { initializer } from '../../functions/onnx/proto/build.ts';
import { type TensorProto, TensorProtoSchema } from '../../functions/onnx/proto/onnx_pb.ts';
import { openBytes, WireError } from '../../functions/onnx/wire.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field, varint } from '../helpers/wire.ts';

const file = tempFiles('constant-tensor-');
let files = 0;

function read(content: Uint8Array, from = readTensor): [string, ConstantTensor] {
  const bytes = openBytes(file(`${files++}`, content));
  try {
    return from(bytes, { number: 5, wire: 2, start: 0, from: 0, to: bytes.size });
  } finally {
    bytes.close();
  }
}

/** As protobuf writes -1: its 64 bits in groups of seven. */
const minusOne = Uint8Array.of(...Array(9).fill(0xff), 0x01);
const written = (tensor: TensorProto): Uint8Array => toBinary(TensorProtoSchema, tensor);
const elementsOf = (content: Uint8Array) => read(content)[1].elements;

test('raw integers and floats are read with their shape and name', () => {
  const integers = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 16 });
  const property = fc.property(fc.constantFrom('int32', 'int64', 'float32', 'float64'), integers, (dtype, list) => {
    const numbers = dtype === 'float32' ? list.map(Math.fround) : list;
    const [name, tensor] = read(written(initializer('sizes', dtype, [list.length], numbers)));
    assert.deepEqual([name, tensor], ['sizes', { shape: [list.length], elements: numbers }]);
  });
  fc.assert(property);
});

test('typed lists are read as raw data, packed or with a field for each number', () => {
  const list = (type: number, number: number, content: Uint8Array): Uint8Array =>
    concat(field(1, 3), field(2, type), field(number, content));
  const raw = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer);
  for (const [content, elements] of [
    [list(DATA_TYPES.int64, 7, concat(varint(1), minusOne, varint(2 ** 40))), [1, -1, 2 ** 40]],
    [list(DATA_TYPES.int32, 5, concat(varint(7), minusOne, varint(0))), [7, -1, 0]],
    [list(DATA_TYPES.bool, 5, concat(varint(1), varint(0), varint(1))), [1, 0, 1]],
    [list(DATA_TYPES.float32, 4, raw(Float32Array.of(0.5, -2, 3))), [0.5, -2, 3]],
    [list(DATA_TYPES.float64, 10, raw(Float64Array.of(0.1, 1e300, 0))), [0.1, 1e300, 0]],
  ] as const) {
    assert.deepEqual(elementsOf(content), elements);
  }
  const unpacked = [4, 5, 6].map((one) => field(7, one));
  assert.deepEqual(elementsOf(concat(field(1, 3), field(2, DATA_TYPES.int64), ...unpacked)), [4, 5, 6]);
});

test('float16 numbers, which are stored as bits in a list of integers, are not read as integers', () => {
  const ones = concat(field(1, 1), field(2, DATA_TYPES.float16), field(5, varint(0x3c00)));
  assert.equal(elementsOf(ones), undefined);
  assert.equal(elementsOf(written(initializer('raw', 'float16', [1], new Uint16Array([0x3c00])))), undefined);
});

test('elements are not read if they are many, in another file, strings, or fewer than those of the shape', () => {
  assert.equal(elementsOf(written(initializer('long', 'int64', [257], Array(257).fill(1)))), undefined);
  assert.equal(elementsOf(written(initializer('weights', 'float32', [17], Array(17).fill(1)))), undefined);
  assert.equal(elementsOf(written(initializer('texts', 'string', [1], ['a']))), undefined);
  const one = concat(field(2, DATA_TYPES.int64), field(7, varint(1)));
  assert.equal(elementsOf(concat(field(1, 1), one, field(14, DATA_LOCATION.external))), undefined);
  assert.equal(elementsOf(concat(field(1, 2), one)), undefined);
});

test('an empty list and a scalar have none and one', () => {
  assert.deepEqual(elementsOf(written(initializer('none', 'int64', [0], []))), []);
  assert.deepEqual(elementsOf(written(initializer('one', 'int64', [], [7]))), [7]);
});

test('a sparse tensor has the name of its values and the shape of all', () => {
  const values = written(initializer('sparse', 'float32', [1], [1]));
  const content = concat(field(1, values), field(3, 4), field(3, 5));
  assert.deepEqual(read(content, readSparse), ['sparse', { shape: [4, 5], elements: undefined }]);
});

test('a truncated tensor is an error', () => {
  const content = written(initializer('sizes', 'int64', [3], [1, 2, 3]));
  for (const end of [1, content.length - 1, content.length - 9]) {
    assert.throws(() => read(content.slice(0, end)), WireError);
  }
});
