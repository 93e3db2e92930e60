import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';
import type { Datatype } from '../../../clients/typescript/src/tensor.ts';
import { readData, writeData } from '../../../clients/typescript/src/tensor-json.ts';

test('data is written flat with all digits, and FP16 not at all', () => {
  assert.equal(
    writeData('x', { datatype: 'INT64', shape: [1, 2], data: BigInt64Array.of(9007199254740993n, -1n) }),
    '[9007199254740993,-1]',
  );
  assert.equal(writeData('x', { datatype: 'BOOL', shape: [2], data: [true, false] }), '[true,false]');
  assert.throws(
    () => writeData('x', { datatype: 'FP16', shape: [1], data: Uint16Array.of(1) }),
    /^TypeError: x: FP16 has no form in JSON/,
  );
});

test('data is read flat or nested, with the strings of numbers that are not finite', () => {
  assert.deepEqual(
    readData(
      'y',
      'FP32',
      [2, 2],
      [
        [1, 'NaN'],
        ['Infinity', '-Infinity'],
      ],
    ),
    Float32Array.of(1, Number.NaN, Infinity, -Infinity),
  );
  assert.deepEqual(readData('y', 'INT64', [2], [1, -2]), BigInt64Array.of(1n, -2n));
  assert.deepEqual(readData('y', 'BYTES', [1, 1], [['a']]), ['a']);
  assert.deepEqual(readData('y', 'BOOL', [], [true]), [true]);
});

test('an integer that lost digits in JSON.parse is refused, not passed on', () => {
  const data = JSON.parse('[9007199254740993]') as unknown;
  assert.throws(
    () => readData('y', 'INT64', [1], data),
    /element 0 has more digits than JSON.parse keeps: use the encoding 'binary'/,
  );
});

test('elements of another type, and of another number, are a BAD_ANSWER', () => {
  const cases: [Datatype, number[], unknown][] = [
    ['FP32', [2], [1]],
    ['FP32', [1], undefined],
    ['FP32', [1], 'a'],
    ['FP32', [1], ['1']],
    ['FP32', [1], [null]],
    ['FP32', [1], ['toString']],
    ['INT8', [1], [1.5]],
    ['BOOL', [1], [1]],
    ['BYTES', [1], [1]],
    ['FP16', [1], [1]],
  ];
  for (const [datatype, shape, data] of cases)
    assert.throws(
      () => readData('y', datatype, shape, data),
      (error: unknown) => error instanceof ClientError && error.code === 'BAD_ANSWER',
      `${datatype} ${JSON.stringify(data)}`,
    );
});
