import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeJson,
  decodeTensors,
  encodeJson,
  encodeTensors,
  type Frame,
  HEADER_BYTES,
  type JoinedTensor,
  KIND,
  MAX_FRAME_BYTES,
} from '../../../functions/engine/process/frame.ts';
import {
  DTYPES,
  type DType,
  elementCount,
  type NumericData,
  type TensorData,
} from '../../../functions/tensor/tensor.ts';

/** Joins what would go through the socket, and reads the header as its other end does. */
function arrive(chunks: readonly Uint8Array[]): Frame & { bytes: number } {
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const whole = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return {
    bytes: whole.readUInt32LE(0),
    kind: whole.readUInt32LE(4),
    id: whole.readUInt32LE(8),
    count: whole.readUInt32LE(12),
    body: whole.subarray(HEADER_BYTES),
  };
}

const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 6 }), { minLength: 1, maxLength: 8 });

/** A tensor of any dtype and shape, its data cut into parts anywhere. */
const tensors: fc.Arbitrary<JoinedTensor> = fc
  .record({
    slot: fc.nat(2 ** 32 - 1),
    dtype: fc.constantFrom(...(Object.keys(DTYPES) as DType[])),
    dims: fc.array(fc.nat(5), { maxLength: 5 }),
    bytes: fc.uint8Array({ minLength: 8, maxLength: 64 }),
    texts,
    cuts: fc.array(fc.nat(3200), { maxLength: 3 }),
  })
  .map(({ slot, dtype, dims, bytes, texts, cuts }) => {
    const count = elementCount(dims);
    const data = DTYPES[dtype].make(count);
    if (Array.isArray(data)) for (let i = 0; i < count; i++) data[i] = texts[i % texts.length]!;
    else bytesOf(data).set(Uint8Array.from({ length: data.byteLength }, (_, i) => bytes[(i * 7) % bytes.length]!));
    const ends = [0, ...cuts.map((cut) => cut % (count + 1)).sort((a, b) => a - b), count];
    const parts = ends.slice(1).map((end, i) => data.slice(ends[i]!, end) as TensorData);
    return { slot, dtype, dims, parts };
  });

function bytesOf(data: NumericData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function joinParts(parts: readonly TensorData[]): readonly string[] | Buffer {
  if (parts.every(Array.isArray)) return (parts as string[][]).flat();
  return Buffer.concat((parts as NumericData[]).map(bytesOf));
}

test('tensors of any dtype and shape, in any parts, are decoded as they were encoded', () => {
  fc.assert(
    fc.property(fc.array(tensors, { maxLength: 4 }), fc.nat(2 ** 32 - 1), (sent, id) => {
      const frame = arrive(encodeTensors(KIND.run, id, sent));
      assert.deepEqual([frame.kind, frame.id, frame.count], [KIND.run, id, sent.length]);
      assert.equal(frame.bytes, HEADER_BYTES + frame.body.length);
      assert.equal(frame.bytes % 8, 0);
      const got = decodeTensors(frame);
      assert.equal(got.length, sent.length);
      for (const [i, { slot, dtype, dims, data }] of got.entries()) {
        assert.deepEqual({ slot, dtype, dims }, { slot: sent[i]!.slot, dtype: sent[i]!.dtype, dims: sent[i]!.dims });
        const want = joinParts(sent[i]!.parts);
        if (Array.isArray(data)) assert.deepEqual(data, want);
        else {
          assert.equal(data.byteOffset % 8, 0, 'data starts at a multiple of 8 bytes');
          assert.equal(data.constructor, DTYPES[dtype].make(0).constructor);
          assert.deepEqual(Buffer.from(bytesOf(data)), want);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('strings keep every character, and empty ones their place', () => {
  const strings = ['', 'Ås', '日本', '👩‍👩‍👧', '\u0000', 'a"\\\n', ''];
  const [tensor] = decodeTensors(
    arrive(
      encodeTensors(KIND.run, 1, [
        { slot: 0, dtype: 'string', dims: [7], parts: [strings.slice(0, 3), strings.slice(3)] },
      ]),
    ),
  );
  assert.deepEqual(tensor!.data, strings);
});

test('a tensor with a dimension of 0 keeps its shape', () => {
  const [tensor] = decodeTensors(
    arrive(encodeTensors(KIND.run, 1, [{ slot: 2, dtype: 'int64', dims: [3, 0, 2], parts: [new BigInt64Array(0)] }])),
  );
  assert.deepEqual(tensor, { slot: 2, dtype: 'int64', dims: [3, 0, 2], data: new BigInt64Array(0) });
});

test('large data is written to the socket without a copy, small data in one chunk with the header', () => {
  const large = new Float32Array(100_000).fill(1.5);
  const rows = [large.subarray(0, 50_000), large.subarray(50_000)];
  const chunks = encodeTensors(KIND.run, 1, [
    { slot: 0, dtype: 'float32', dims: [2, 50_000], parts: rows },
    { slot: 1, dtype: 'bool', dims: [3], parts: [Uint8Array.of(1, 0, 1)] },
  ]);
  const shared = chunks.filter((chunk) => chunk.buffer === large.buffer);
  assert.deepEqual(
    shared.map((chunk) => [chunk.byteOffset, chunk.byteLength]),
    [
      [0, 200_000],
      [200_000, 200_000],
    ],
  );
  const copied = chunks
    .filter((chunk) => chunk.buffer !== large.buffer)
    .reduce((sum, chunk) => sum + chunk.byteLength, 0);
  assert.ok(copied < 200, `${copied} bytes copied`);
  assert.equal(
    encodeTensors(KIND.run, 1, [{ slot: 0, dtype: 'float32', dims: [4], parts: [new Float32Array(4)] }]).length,
    1,
  );
});

test('small data after large data of an odd length is decoded as it was encoded', () => {
  const wide = { slot: 1, dtype: 'float64', dims: [2], parts: [Float64Array.of(0.1, -2)] } as const;
  for (let odd = 0; odd < 9; odd++) {
    const bytes = Uint8Array.from({ length: 20_000 + odd }, (_, i) => i % 251);
    const large = { slot: 0, dtype: 'uint8', dims: [bytes.length], parts: [bytes] } as const;
    const [first, second, third] = decodeTensors(arrive(encodeTensors(KIND.run, 1, [large, wide, large])));
    assert.deepEqual([first!.data, second!.data, third!.data], [bytes, wide.parts[0], bytes]);
  }
});

test('decoded numbers are views of the frame, without a copy', () => {
  const frame = arrive(
    encodeTensors(KIND.run, 1, [{ slot: 0, dtype: 'float64', dims: [2], parts: [Float64Array.of(1, 2)] }]),
  );
  assert.equal((decodeTensors(frame)[0]!.data as Float64Array).buffer, frame.body.buffer);
});

test('a frame beyond 2 GiB is refused with its size, before it is made', () => {
  const part = new Float64Array(2 ** 23);
  const parts = Array.from({ length: 33 }, () => part);
  assert.throws(
    () => encodeTensors(KIND.run, 1, [{ slot: 0, dtype: 'float64', dims: [33, 2 ** 23], parts }]),
    (error: Error) =>
      error.message.includes(String(MAX_FRAME_BYTES)) && error.message.includes(String(33 * 2 ** 26 + 40)),
  );
});

test('a JSON value is decoded as it was encoded', () => {
  for (const value of [
    { message: 'Gather: index 1 out of bounds – ü' },
    [],
    'x',
    { path: '/m/model.onnx', n: [1, 2] },
  ]) {
    const bytes = encodeJson(KIND.load, 7, value);
    assert.equal(bytes.length % 8, 0);
    const frame = arrive([bytes]);
    assert.deepEqual([frame.kind, frame.id, frame.bytes], [KIND.load, 7, bytes.length]);
    assert.deepEqual(decodeJson(frame), value);
  }
});
