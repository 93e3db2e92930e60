import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCgroupReader } from '../../../functions/engine/memory/cgroup-memory.ts';
import { createMemoryPressure } from '../../../functions/engine/memory/memory-pressure.ts';
import { layOut } from '../../helpers/root-folder.ts';

const MIB = 2 ** 20;
const USE = 'sys/fs/cgroup/app/memory.current';

test('a request is refused as OVERLOADED while less than 24 MiB, or 3 % of the limit, are free', (t) => {
  for (const [limit, reserve] of [
    [512 * MIB, 24 * MIB],
    [4096 * MIB, 0.03 * 4096 * MIB],
  ] as const) {
    const root = layOut(t, {
      'proc/self/cgroup': '0::/app\n',
      'sys/fs/cgroup/app/memory.max': `${limit}\n`,
      'sys/fs/cgroup/app/memory.stat': `inactive_file ${MIB}\n`,
      [USE]: '0\n',
    });
    let now = 0;
    const pressure = createMemoryPressure(createCgroupReader(root), () => now);
    const use = (bytes: number): void => {
      writeFileSync(join(root, USE), `${Math.floor(bytes) + MIB}\n`);
      now += 100;
    };
    use(limit - reserve);
    assert.equal(pressure(), undefined);
    use(limit - reserve + 1);
    const refusal = pressure()!;
    assert.deepEqual([refusal.code, refusal.retryAfter], ['OVERLOADED', 1]);
    assert.match(refusal.detail!, new RegExp(`the memory limit of ${limit}`));
    assert.doesNotMatch(refusal.message, /\d/, 'callers do not learn the size');
    use(0);
    assert.equal(pressure(), undefined, 'it ends by itself');
  }
});

test('memory is read at most every 100 ms', () => {
  let now = 0;
  let reads = 0;
  const pressure = createMemoryPressure(
    () => {
      reads++;
      return { limitBytes: 100 * MIB, usedBytes: 99 * MIB };
    },
    () => now,
  );
  for (now = 0; now < 200; now++) assert.equal(pressure()?.code, 'OVERLOADED');
  assert.equal(reads, 2);
});

test('without a limit, or when its files cannot be read, nothing is refused', () => {
  assert.equal(createMemoryPressure(undefined)(), undefined);
  assert.equal(createMemoryPressure(() => undefined)(), undefined);
});
