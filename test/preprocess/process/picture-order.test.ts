import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planPictures } from '../../../functions/preprocess/process/picture-order.ts';

const GIB = 2 ** 30;

const PLANS: [cpus: number, memory: number | undefined, processes: number, pixels: number][] = [
  [0.5, GIB / 2, 1, 16_777_216],
  [1, GIB, 1, 33_554_432],
  [2, 2 * GIB, 2, 33_554_432],
  [4, 2 * GIB, 2, 33_554_432],
  [8, 16 * GIB, 4, 50_000_000],
  [2, undefined, 2, 50_000_000],
  [64, undefined, 4, 50_000_000],
];
for (const [cpus, memoryBytes, processes, pixels] of PLANS) {
  const memory = memoryBytes === undefined ? 'no limit of memory' : `${memoryBytes / GIB} GiB`;
  test(`${cpus} CPUs and ${memory}: ${processes} processes, each for ${pixels} pixels`, () => {
    const plan = planPictures({ cpus, memoryBytes });
    assert.deepEqual([plan.processes, plan.limits.pixels], [processes, pixels]);
    if (memoryBytes !== undefined) assert.ok(plan.processes * pixels * 12 <= memoryBytes / 2);
  });
}
