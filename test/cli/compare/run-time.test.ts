import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureRunTimes } from '../../../functions/cli/compare/run-time.ts';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import { column } from '../../helpers/tensors.ts';

test('the models take turns over the rows, and each gets the median of its times', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const rows = [1, 2].map((value): Feeds => ({ tensors: [column(value)], rows: 1 }));
  const runs: string[] = [];
  const model = (name: string, ms: number) => ({
    run: async (inputs: readonly { parts: readonly unknown[] }[]) => {
      runs.push(`${name}${(inputs[0]!.parts[0] as Float32Array)[0]}`);
      now += ms;
      return [];
    },
  });
  assert.deepEqual(await measureRunTimes([model('a', 7), model('b', 3)], rows), [7, 3]);
  assert.deepEqual(runs.slice(0, 6), ['a1', 'b1', 'a2', 'b2', 'a1', 'b1']);
});
