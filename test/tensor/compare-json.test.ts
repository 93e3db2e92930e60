import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findJsonDifference } from '../../functions/tensor/compare-json.ts';
import { readJson } from '../../functions/tensor/json/reader.ts';

const difference = (expected: string, got: string, tolerance = 0.01): string | undefined =>
  findJsonDifference(readJson(Buffer.from(expected)), readJson(Buffer.from(got)), tolerance);

test('values that differ by no more than the tolerance are the same', () => {
  for (const [expected, got] of [
    ['1', '1.009'],
    ['1000', '1009'],
    ['{"a":[1,{"b":"x"}],"c":null}', '{"c":null,"a":[1.005,{"b":"x"}]}'],
    [`[${Array(40).fill(1)}]`, `[${Array(40).fill(1.001)}]`],
    ['9007199254740993', '9007199254740993'],
  ] as const) {
    assert.equal(difference(expected, got), undefined);
  }
});

test('the first difference has its place, what came out and what was expected', () => {
  for (const [expected, got, text] of [
    ['1', '1.02', 'came out as 1.02, expected 1'],
    ['{"a":[1,2]}', '{"a":[1,3]}', 'a[1]: came out as 3, expected 2'],
    ['{"a":[1,2]}', '{"a":[1]}', 'a: came out as an array of 1 value, expected an array of 2 values'],
    ['{"a":{"b":"x"}}', '{"a":{}}', 'a.b: came out as nothing, expected "x"'],
    ['{}', '{"a":null}', 'a: came out as null, expected nothing'],
    ['true', '"true"', 'came out as "true", expected true'],
    ['{}', '[]', 'came out as an array of 0 values, expected an object'],
  ] as const) {
    assert.equal(difference(expected, got), text);
  }
});
