import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Activity } from '../../functions/model/activity.ts';

test('the seconds of use are those of the last ten, whatever the number of uses in each', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 }), (steps) => {
      const activity = new Activity();
      const used = new Set<number>();
      for (const now of steps.toSorted((a, b) => a - b)) {
        activity.mark(now);
        used.add(Math.floor(now / 1000));
        const second = Math.floor(now / 1000);
        const expected = [...used].filter((one) => one > second - 10).length;
        assert.equal(activity.seconds(now), expected);
      }
      for (const later of [41_000, 45_500, 49_999, 60_000]) {
        const expected = [...used].filter((one) => one > Math.floor(later / 1000) - 10).length;
        assert.equal(activity.seconds(later), expected);
      }
    }),
  );
});

test('a new generation goes on with the use of the one before it', () => {
  const [before, after] = [new Activity(), new Activity()];
  for (const now of [0, 1000, 2000, 3000]) before.mark(now);
  after.mark(3500);
  after.mark(5000);
  after.adopt(before);
  assert.equal(after.seconds(5000), 5);
  assert.equal(after.seconds(11_999), 3);
  after.mark(12_000);
  assert.equal(after.seconds(12_000), 3);
});
