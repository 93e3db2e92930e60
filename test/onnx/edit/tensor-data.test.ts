import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { ServingError } from '../../../functions/errors.ts';
import { DATA_TYPES, type DataTypeName } from '../../../functions/onnx/data-type.ts';
import { type EditableModel, openModel } from '../../../functions/onnx/edit/open-model.ts';
import { bytesOfTensor, readChunks, readTensor, setTensor } from '../../../functions/onnx/edit/tensor-data.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { type TensorProto, TensorProtoSchema } from '../../../functions/onnx/proto/onnx_pb.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const file = tempFiles('tensor-data-');
const weights = Float32Array.from({ length: 300_000 }, (_, i) => i / 7);

function open(tensor: TensorProto): { opened: EditableModel; tensor: TensorProto; path: string } {
  const path = file(
    'model.onnx',
    model({
      name: 'one',
      nodes: [node('Identity', ['x'], ['y'])],
      initializers: [tensor],
      inputs: [value('x', 'float32')],
      outputs: [value('y', 'float32')],
    }),
  );
  const opened = openModel(path);
  return { opened, tensor: opened.graph.initializer[0]!, path };
}

const large = () => open(initializer('w', 'float32', [300, 1000], weights));

test('a large initializer reads from the file as a typed array can view it', async () => {
  const { opened, tensor } = large();
  const read = await readTensor(opened, tensor);
  assert.deepEqual(new Float32Array(read.buffer), weights);
});

test('the chunks of a range are those bytes, of at most 1 MiB, and begin at an aligned address', async () => {
  const { opened, tensor } = large();
  const parts: Uint8Array[] = [];
  for await (const chunk of readChunks(opened, tensor, { from: 40, to: 1_100_040 })) {
    assert.ok(chunk.length <= 2 ** 20);
    assert.equal(chunk.byteOffset, 0);
    parts.push(chunk.slice());
  }
  assert.deepEqual(Buffer.concat(parts), Buffer.from(weights.buffer, 40, 1_100_000));
});

test('elements in the message read as those in a file, in any range', async () => {
  const { opened, tensor } = open(initializer('w', 'float32', [10], weights.slice(0, 10)));
  const parts: Uint8Array[] = [];
  for await (const chunk of readChunks(opened, tensor, { from: 8, to: 20 })) parts.push(chunk.slice());
  assert.deepEqual(Buffer.concat(parts), Buffer.from(weights.buffer, 8, 12));
});

/** A tensor with its elements in one of the lists of TensorProto, packed or one field each. */
function listed(dtype: DataTypeName, no: number, write: (writer: BinaryWriter) => void, count: number, packed = true) {
  const tensor = create(TensorProtoSchema, { name: 't', dataType: DATA_TYPES[dtype], dims: [BigInt(count)] });
  const writer = new BinaryWriter();
  write(writer);
  const content = writer.finish();
  const data = packed ? new BinaryWriter().bytes(content).finish() : content;
  tensor.$unknown = [{ no, wireType: packed ? 2 : 0, data }];
  return tensor;
}

const LISTS: [title: string, tensor: TensorProto, expected: ArrayBuffer][] = [
  ['float_data', listed('float32', 4, (w) => w.float(1.5).float(-2), 2), Float32Array.of(1.5, -2).buffer],
  ['double_data', listed('float64', 10, (w) => w.double(1.5).double(-2), 2), Float64Array.of(1.5, -2).buffer],
  ['int32_data of int32', listed('int32', 5, (w) => w.int32(-5).int32(7), 2), Int32Array.of(-5, 7).buffer],
  ['int32_data of int8', listed('int8', 5, (w) => w.int32(-5).int32(7), 2), Int8Array.of(-5, 7).buffer],
  ['int32_data of bool', listed('bool', 5, (w) => w.int32(1).int32(0), 2), Uint8Array.of(1, 0).buffer],
  ['int32_data of float16', listed('float16', 5, (w) => w.int32(0xbc00).int32(1), 2), Uint16Array.of(0xbc00, 1).buffer],
  ['int32_data of int4', listed('int4', 5, (w) => w.int32(0x7f).int32(0x0f), 3), Uint8Array.of(0x7f, 0x0f).buffer],
  ['int32_data that is not packed', listed('int16', 5, (w) => w.int32(300), 1, false), Int16Array.of(300).buffer],
  ['uint64_data of uint32', listed('uint32', 11, (w) => w.uint64(2 ** 32 - 1), 1), Uint32Array.of(2 ** 32 - 1).buffer],
  [
    'uint64_data of uint64',
    listed('uint64', 11, (w) => w.uint64('18446744073709551615'), 1),
    BigUint64Array.of(2n ** 64n - 1n).buffer,
  ],
  [
    'int64_data',
    create(TensorProtoSchema, { name: 't', dataType: 7, dims: [2n], int64Data: [-1n, 2n] }),
    BigInt64Array.of(-1n, 2n).buffer,
  ],
];
for (const [title, tensor, expected] of LISTS) {
  test(`${title} reads as raw_data would have it`, async () => {
    const { opened, tensor: read } = open(tensor);
    assert.deepEqual(await readTensor(opened, read), new Uint8Array(expected));
  });
}

test('replaced elements are read in place of the old ones, with their type and shape', async () => {
  const { opened, tensor } = large();
  setTensor(tensor, { dtype: 'int8', dims: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
  assert.deepEqual([tensor.dataType, tensor.dims, tensor.name], [DATA_TYPES.int8, [2n, 3n], 'w']);
  assert.deepEqual(await readTensor(opened, tensor), Uint8Array.of(1, 2, 3, 4, 5, 6));
});

test('a list is replaced too', async () => {
  const { opened, tensor } = open(listed('float32', 4, (w) => w.float(1).float(2), 2));
  setTensor(tensor, { data: new Uint8Array(8) });
  assert.deepEqual(tensor.$unknown, []);
  assert.deepEqual(await readTensor(opened, tensor), new Uint8Array(8));
});

test('a producer is asked once for each read, and its chunks may be of any size', async () => {
  const { opened, tensor } = large();
  let calls = 0;
  const data = {
    bytes: 9,
    *chunks() {
      calls++;
      for (const size of [1, 3, 5]) yield new Uint8Array(size).fill(size);
    },
  };
  setTensor(tensor, { dtype: 'uint8', dims: [9], data });
  assert.equal(calls, 0);
  assert.deepEqual(await readTensor(opened, tensor), Uint8Array.of(1, 3, 3, 3, 5, 5, 5, 5, 5));
  assert.equal(calls, 1);
});

test('elements that do not fit the shape are refused, and the tensor keeps its own', async () => {
  const { opened, tensor } = large();
  assert.throws(() => setTensor(tensor, { dtype: 'int8', dims: [7], data: new Uint8Array(5) }), RangeError);
  assert.throws(() => setTensor(tensor, { data: new Uint8Array(5) }), /tensor w: expected 1200000 bytes .*, got 5/);
  assert.equal((await readTensor(opened, tensor)).length, 1_200_000);
});

test('types below a byte share bytes, and strings have no size', () => {
  const of = (dtype: DataTypeName, dims: bigint[]) => create(TensorProtoSchema, { dataType: DATA_TYPES[dtype], dims });
  assert.equal(bytesOfTensor(of('int4', [3n, 3n])), 5);
  assert.equal(bytesOfTensor(of('float16', [])), 2);
  assert.throws(() => bytesOfTensor(of('string', [1n])), RangeError);
});

test('a file that became shorter, and elements that are missing, are named', async () => {
  const { opened, tensor, path } = large();
  truncateSync(path, 100_000);
  await assert.rejects(readTensor(opened, tensor), (error) => {
    return (
      error instanceof ServingError && /the file ends before byte \d+, where the tensor w ends/.test(error.message)
    );
  });
  const short = open(listed('float32', 4, (w) => w.float(1), 2));
  await assert.rejects(readTensor(short.opened, short.tensor), /tensor t: expected 8 bytes for \[2\], type 1, got 4/);
});
