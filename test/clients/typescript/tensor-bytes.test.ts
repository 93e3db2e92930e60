import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';
import type { AnyTensor, Datatype } from '../../../clients/typescript/src/tensor.ts';
import { decodeTensor, encodeTensor } from '../../../clients/typescript/src/tensor-bytes.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('elements are little-endian and close together, BOOL is a byte, BYTES has a length of four bytes before it', () => {
  const cases: [AnyTensor, string][] = [
    [{ datatype: 'BOOL', shape: [3], data: [true, false, true] }, '010001'],
    [{ datatype: 'INT8', shape: [2], data: Int8Array.of(-1, 1) }, 'ff01'],
    [{ datatype: 'UINT16', shape: [1], data: Uint16Array.of(0x0102) }, '0201'],
    [{ datatype: 'FP16', shape: [1], data: Uint16Array.of(0x3c00) }, '003c'],
    [{ datatype: 'FP32', shape: [1], data: Float32Array.of(1) }, '0000803f'],
    [{ datatype: 'INT64', shape: [1], data: BigInt64Array.of(2n ** 53n + 1n) }, '0100000000002000'],
    [{ datatype: 'BYTES', shape: [2], data: ['é', ''] }, '02000000c3a900000000'],
  ];
  for (const [tensor, expected] of cases) assert.equal(hex(encodeTensor(tensor)), expected, tensor.datatype);
});

const anyTensor: fc.Arbitrary<AnyTensor> = fc.oneof(
  fc.array(fc.boolean()).map((data) => ({ datatype: 'BOOL', shape: [data.length], data }) as const),
  fc.array(fc.string({ unit: 'grapheme' })).map((data) => ({ datatype: 'BYTES', shape: [data.length], data }) as const),
  fc.bigInt64Array().map((data) => ({ datatype: 'INT64', shape: [data.length], data }) as const),
  fc.uint8Array().map((data) => ({ datatype: 'UINT8', shape: [data.length], data }) as const),
  fc.float64Array().map((data) => ({ datatype: 'FP64', shape: [data.length], data }) as const),
);

test('every tensor is decoded from its bytes, at any offset in a response', () => {
  fc.assert(
    fc.property(anyTensor, fc.nat(9), (tensor, offset) => {
      const bytes = encodeTensor(tensor);
      const answer = new Uint8Array(offset + bytes.length);
      answer.set(bytes, offset);
      const back = decodeTensor('y', tensor.datatype, tensor.shape, answer.subarray(offset));
      assert.deepEqual(back, tensor.data);
    }),
  );
});

test('only the part of a buffer that an array shows is sent', () => {
  const data = Float32Array.of(9, 1, 9).subarray(1, 2);
  assert.equal(hex(encodeTensor({ datatype: 'FP32', shape: [1], data })), '0000803f');
});

test('bytes that are not those of the shape are a BAD_ANSWER', () => {
  const cases: [Datatype, number[], string, RegExp][] = [
    ['FP32', [2], '00000000', /FP32 \[2\] takes 8 bytes, the response has 4/],
    ['BOOL', [], '', /takes 1 bytes, the response has 0/],
    ['BYTES', [1], '05000000aa', /expected 1 elements of BYTES, the 5 bytes hold 0/],
    ['BYTES', [1], '0000000000000000', /expected 1 elements of BYTES, the 8 bytes hold 2/],
    ['BYTES', [2], '00000000', /hold 1/],
    ['BYTES', [1], '010000', /hold 0/],
    ['BYTES', [1], '01000000ff', /not UTF-8/],
  ];
  for (const [datatype, shape, text, message] of cases)
    assert.throws(
      () => decodeTensor('y', datatype, shape, new Uint8Array(Buffer.from(text, 'hex'))),
      (error: unknown) => error instanceof ClientError && error.code === 'BAD_ANSWER' && message.test(error.message),
      `${datatype} ${text}`,
    );
});

test('a byte order mark at the start of a text is part of it', () => {
  const bytes = encodeTensor({ datatype: 'BYTES', shape: [1], data: ['\uFEFFa'] });
  assert.deepEqual(decodeTensor('y', 'BYTES', [1], new Uint8Array(bytes)), ['\uFEFFa']);
});
