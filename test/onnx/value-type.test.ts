import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { mapType, sequenceType, tensorType, value } from '../../functions/onnx/proto/build.ts';
import { type TypeProto, TypeProtoSchema, ValueInfoProtoSchema } from '../../functions/onnx/proto/onnx_pb.ts';
import { readValue, type Value } from '../../functions/onnx/value-type.ts';
import { openBytes } from '../../functions/onnx/wire.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field } from '../helpers/wire.ts';

const file = tempFiles('value-type-');
let files = 0;

function read(info: Uint8Array): Value {
  const bytes = openBytes(file(`${files++}`, info));
  try {
    return readValue(bytes, { number: 12, wire: 2, start: 0, from: 0, to: bytes.size });
  } finally {
    bytes.close();
  }
}

const float = tensorType('float32', ['N', 2]);
const optional = create(TypeProtoSchema, { value: { case: 'optionalType', value: { elemType: float } } });
const sparse = create(TypeProtoSchema, { value: { case: 'sparseTensorType', value: { elemType: 11 } } });

const TYPES: [text: string, type: TypeProto][] = [
  ['tensor(float)', float],
  ['tensor(bfloat16)', tensorType('bfloat16')],
  ['sequence of tensor(string)', sequenceType(tensorType('string'))],
  ['sequence of map(int64, float)', sequenceType(mapType('int64', float))],
  ['map(string, double)', mapType('string', tensorType('float64'))],
  ['map(string, sequence of tensor(float))', mapType('string', sequenceType(float))],
  ['optional tensor(float)', optional],
  ['sparse tensor(double)', sparse],
];
for (const [text, type] of TYPES) {
  test(`${text} is called so`, () => {
    const info = toBinary(ValueInfoProtoSchema, create(ValueInfoProtoSchema, { name: 'a/b c', type }));
    const { element, hasShape, ...rest } = read(info);
    const isTensor = text.startsWith('tensor');
    assert.deepEqual(rest, { name: 'a/b c', type: text, isTensor });
    assert.equal(element === undefined, !isTensor);
    assert.equal(hasShape, type === float);
  });
}

test('a type that is missing or empty is open', () => {
  const open = { name: 'y', type: undefined, isTensor: false, element: undefined, hasShape: false };
  assert.deepEqual(read(field(1, 'y')), open);
  // TypeProto.denotation = 6 alone.
  assert.equal(read(concat(field(1, 'y'), field(2, field(6, 'IMAGE')))).type, undefined);
});

test('a shape without dimensions is rank 0, and no shape leaves the rank open', () => {
  const scalar = read(toBinary(ValueInfoProtoSchema, value('x', 'float64', [])));
  assert.deepEqual([scalar.element, scalar.hasShape], ['float64', true]);
  const open = read(toBinary(ValueInfoProtoSchema, value('x', 'bfloat16')));
  assert.deepEqual([open.element, open.hasShape], ['bfloat16', false]);
});

test('opaque types and unknown element types are named so', () => {
  // TypeProto.opaque_type = 7, tensor_type.elem_type = 1.
  assert.equal(read(field(2, field(7, field(2, 'thing')))).type, 'opaque');
  assert.equal(read(field(2, field(1, field(1, 99)))).type, 'tensor(unknown)');
  assert.equal(read(field(2, field(4, ''))).type, 'sequence of unknown');
});

test('of two types the last one counts, as in protobuf', () => {
  const [sequence, tensor] = [field(4, field(1, field(1, field(1, 1)))), field(1, field(1, 1))];
  assert.equal(read(field(2, concat(sequence, tensor))).type, 'tensor(float)');
  assert.equal(read(field(2, concat(tensor, sequence))).isTensor, false);
  assert.equal(read(concat(field(2, sequence), field(2, tensor))).isTensor, true);
});

test('types nested without end are refused', () => {
  let type: Uint8Array = field(1, field(1, 1));
  for (let depth = 0; depth < 5000; depth++) type = field(4, field(1, type));
  assert.throws(() => read(field(2, type)), /more than 100 nested messages/);
});
