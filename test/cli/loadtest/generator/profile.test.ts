import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelAt, parseLevels, peakOf, spreadLevels } from '../../../../functions/cli/loadtest/generator/profile.ts';

test('levels are a number, a ramp, or steps', () => {
  assert.deepEqual(parseLevels('100'), { kind: 'constant', values: [100] });
  assert.deepEqual(parseLevels('0.5'), { kind: 'constant', values: [0.5] });
  assert.deepEqual(parseLevels('0..100'), { kind: 'ramp', values: [0, 100] });
  assert.deepEqual(parseLevels('1,2,4'), { kind: 'steps', values: [1, 2, 4] });
});

for (const text of [
  '',
  '0',
  '-1',
  '1,',
  ',1',
  '1..',
  '1..2..3',
  '0..0',
  '1,0',
  '1e3',
  ' 1',
  'x',
  '1..2,3',
  'Infinity',
  'NaN',
]) {
  test(`'${text}' is not a level`, () => assert.equal(parseLevels(text), undefined));
}

test('steps share the duration, and a ramp takes all of it', () => {
  const steps = spreadLevels(parseLevels('1,2,4')!, 30);
  assert.deepEqual(
    [5, 15, 25, 40].map((at) => levelAt(steps, at)),
    [1, 2, 4, 4],
  );
  const ramp = spreadLevels(parseLevels('10..110')!, 10);
  assert.deepEqual(
    [-1, 0, 5, 9.9, 12].map((at) => levelAt(ramp, at)),
    [10, 10, 60, 109, 110],
  );
  assert.deepEqual([peakOf(steps), peakOf(ramp)], [4, 110]);
});
