import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTensor, isDatatype, type Tensor } from '../../../clients/typescript/src/tensor.ts';

test('a tensor whose data, shape and datatype do not go together is named with what is expected and given', () => {
  const wrong = (tensor: object): Tensor => tensor as Tensor;
  const cases: [Tensor, RegExp][] = [
    [wrong({ datatype: 'FP32', shape: [1], data: [1] }), /^TypeError: x: FP32 takes its data as Float32Array/],
    [wrong({ datatype: 'INT64', shape: [1], data: Float64Array.of(1) }), /INT64 takes its data as BigInt64Array/],
    [wrong({ datatype: 'BOOL', shape: [1], data: Uint8Array.of(1) }), /BOOL takes its data as Array/],
    [wrong({ datatype: 'FLOAT', shape: [1], data: [1] }), /FLOAT is not a datatype/],
    [wrong({ datatype: 'toString', shape: [1], data: [1] }), /toString is not a datatype/],
    [wrong({ datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1) }), /\[2,2\] holds 4 elements, data has 1/],
    [wrong({ datatype: 'FP32', shape: [-1], data: Float32Array.of(1) }), /integers from 0 on, got \[-1\]/],
    [wrong({ datatype: 'FP32', shape: [0.5, 2], data: Float32Array.of(1) }), /integers from 0 on/],
  ];
  for (const [tensor, message] of cases) assert.throws(() => checkTensor('x', tensor), message);
  checkTensor('x', { datatype: 'FP32', shape: [], data: Float32Array.of(1) });
  checkTensor('x', { datatype: 'BYTES', shape: [0, 3], data: [] });
});

test('the datatypes are those of the protocol', () => {
  assert.deepEqual(['BOOL', 'FP16', 'BYTES', 'BF16', 'fp32', undefined].filter(isDatatype), ['BOOL', 'FP16', 'BYTES']);
});
