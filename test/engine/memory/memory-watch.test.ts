import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CgroupMemory } from '../../../functions/engine/memory/cgroup-memory.ts';
import { createMemoryWatch, type WatchedEngine } from '../../../functions/engine/memory/memory-watch.ts';
import { privateBytes } from '../../../functions/engine/memory/private-bytes.ts';
import { layOut } from '../../helpers/root-folder.ts';

const MIB = 2 ** 20;
const MINUTE_MS = 60_000;

/** Engines of 100 MiB each in a control group of 1000 MiB, without processes, timers or clocks. */
function setUp(t: TestContext, { engines = 2, limited = true } = {}) {
  const slots = Array.from({ length: engines }, (_, slot) => ({ slot, pid: slot + 1, bytes: 100 * MIB, runs: 1000 }));
  const recycled: { slot: number; detail: string; startsFirst: boolean }[] = [];
  const failures: unknown[] = [];
  const state = { now: 0, used: 0, failing: false };
  let nextPid = engines + 1;
  const watch = createMemoryWatch({
    engines: () =>
      slots.map((one): WatchedEngine => {
        const { slot, pid, runs } = one;
        return {
          ...{ slot, pid, runs, model: 'm', state: 'busy' },
          async recycle(detail, startsFirst) {
            if (state.failing) throw new Error('no such file');
            recycled.push({ slot, detail, startsFirst });
            Object.assign(one, { pid: nextPid++, bytes: 100 * MIB, runs: 0 });
          },
        };
      }),
    readCgroup: limited ? (): CgroupMemory => ({ limitBytes: 1000 * MIB, usedBytes: state.used }) : undefined,
    onFailure: (model, error) => failures.push([model, error]),
    bytesOf: (pid) => slots.find((one) => one.pid === pid)?.bytes,
    now: () => state.now,
  });
  t.after(() => watch.stop());
  return { watch, slots, recycled, failures, state };
}

test('above 90 % of the memory limit, the engine that has grown most is replaced, and it alone', async (t) => {
  const { watch, slots, recycled, state } = setUp(t, { engines: 3 });
  await watch.check();
  for (const [i, mebibytes] of [150, 300, 250].entries()) slots[i]!.bytes = mebibytes * MIB;
  state.used = 900 * MIB;
  await watch.check();
  assert.deepEqual(recycled, [], '90 % is not above it');
  state.used = 901 * MIB;
  await watch.check();
  const detail =
    'it has grown from 100 MiB to 300 MiB in 1000 runs, and 901 MiB of the memory limit of 1000 MiB are in use';
  assert.deepEqual(recycled, [{ slot: 1, detail, startsFirst: false }]);
  await watch.check();
  assert.equal(recycled.length, 1, 'the next one is replaced a minute later');
  state.now += MINUTE_MS;
  await watch.check();
  assert.deepEqual(
    recycled.map(({ slot }) => slot),
    [1, 2],
  );
});

test('the replacement starts first if there is memory for both', async (t) => {
  const { watch, slots, recycled, state } = setUp(t);
  slots[0]!.bytes = slots[1]!.bytes = 30 * MIB;
  await watch.check();
  slots[0]!.bytes = 800 * MIB;
  state.used = 920 * MIB;
  await watch.check();
  assert.equal(recycled[0]!.startsFirst, true);
});

test('an engine that has not grown is not replaced, however short memory is', async (t) => {
  const { watch, slots, recycled, state } = setUp(t);
  await watch.check();
  state.used = 999 * MIB;
  for (const slot of slots) slot.bytes = 131 * MIB;
  await watch.check();
  assert.deepEqual(recycled, []);
});

test('growth during the first runs is the size of the engine', async (t) => {
  const { watch, slots, recycled, state } = setUp(t, { engines: 1 });
  state.used = 950 * MIB;
  slots[0]!.runs = 0;
  await watch.check();
  Object.assign(slots[0]!, { runs: 256, bytes: 900 * MIB });
  await watch.check();
  Object.assign(slots[0]!, { runs: 100_000, bytes: 920 * MIB });
  await watch.check();
  assert.deepEqual(recycled, []);
});

test('without a memory limit, an engine is replaced when it has grown to three times its size and by 512 MiB', async (t) => {
  const { watch, slots, recycled } = setUp(t, { limited: false });
  await watch.check();
  slots[0]!.bytes = 612 * MIB;
  await watch.check();
  assert.deepEqual(recycled, []);
  slots[0]!.bytes++;
  await watch.check();
  assert.deepEqual(recycled, [
    { slot: 0, detail: 'it has grown from 100 MiB to 612 MiB in 1000 runs', startsFirst: true },
  ]);
});

test('a model that needs the memory is replaced after pauses that double, up to a day; one that leaks slowly, each time', async (t) => {
  const times = async (minutesToGrow: number): Promise<number[]> => {
    const { watch, slots, recycled, state } = setUp(t, { engines: 1 });
    const at: number[] = [];
    state.used = 950 * MIB;
    const engine = slots[0]!;
    let startedAt = 0;
    for (let minute = 0; minute <= 4000; minute++) {
      state.now = minute * MINUTE_MS;
      if (minute - startedAt >= minutesToGrow) Object.assign(engine, { runs: 1000, bytes: 500 * MIB });
      await watch.check();
      if (recycled.length === at.length) continue;
      at.push(minute);
      startedAt = minute;
      await watch.check();
    }
    return at;
  };
  assert.deepEqual((await times(1)).slice(0, 7), [1, 2, 4, 8, 16, 32, 64]);
  assert.ok((await times(1)).length < 14, 'two days have 2880 minutes');
  assert.deepEqual((await times(100)).slice(0, 4), [100, 200, 300, 400]);
});

test('a replacement that does not load is reported, and the next try is a minute later', async (t) => {
  const { watch, slots, recycled, failures, state } = setUp(t, { engines: 1 });
  await watch.check();
  slots[0]!.bytes = 500 * MIB;
  Object.assign(state, { used: 950 * MIB, failing: true });
  await watch.check();
  await watch.check();
  assert.deepEqual(failures, [['m', new Error('no such file')]]);
  Object.assign(state, { now: MINUTE_MS, failing: false });
  await watch.check();
  assert.equal(recycled.length, 1);
});

test('the memory of a process is that which is not of files', (t) => {
  const root = layOut(t, { '7/status': 'VmRSS:\t  9000 kB\nRssAnon:\t  5000 kB\nRssFile:\t  4000 kB\n' });
  assert.equal(privateBytes(7, root), 5000 * 1024);
  assert.equal(privateBytes(8, root), undefined);
  if (process.platform === 'linux') assert.ok(privateBytes(process.pid)! > MIB);
});
