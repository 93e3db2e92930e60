import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costFor, type Need, sizeFor } from '../../../functions/cli/doctor/cloud-run.ts';
import type { RunTime } from '../../../functions/cli/measure/runs.ts';
import { LIST_PRICES } from '../../../functions/cli/prices/prices.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const time = (rows: number, medianMs: number): RunTime => ({
  rows,
  medianMs,
  p95Ms: medianMs,
  rowsPerSecond: (rows * 1000) / medianMs,
  runs: 10,
});

/** A model of so many bytes, of which a run of one row takes so long, and one of 64 rows twice as long. */
function need(
  bytes: number,
  singleMs: number | undefined,
  options: { joins?: boolean; privateBytes?: number } = {},
): Need {
  const { joins = true, privateBytes = 60 * MIB + bytes } = options;
  const runs = singleMs === undefined ? [] : [time(1, singleMs), ...(joins ? [time(64, 2 * singleMs)] : [])];
  const memory = { privateBytes, sharedBytes: 70 * MIB, peakBytes: privateBytes };
  return {
    name: 'net',
    bytes,
    mappableBytes: 0,
    joinsRows: joins,
    measured:
      singleMs === undefined
        ? undefined
        : {
            threads: 1,
            startMs: 300,
            loadMs: 20,
            before: memory,
            loadedMemory: memory,
            memory,
            runs,
            best: runs.at(-1),
          },
  };
}

const pick = async (needs: readonly Need[], filesAreMemory = false) => {
  const size = await sizeFor(needs, filesAreMemory);
  return size && [size.cpu, size.memoryBytes / GIB, size.concurrency, size.processes, size.threads];
};

test('a small fast model takes the smallest instance, and a concurrency that fills its runs', async () => {
  assert.deepEqual(await pick([need(1 * MIB, 0.2)]), [1, 0.5, 80, 1, 1]);
});

test('memory grows with the file, and with its copy in the memory if it is fetched', async () => {
  // Twice 200 MiB while it loads, 72 MiB, and 128 MiB for the server: above 512 MiB. The fetched file: above 1 GiB with 400 MiB.
  assert.equal((await pick([need(200 * MIB, 5)]))?.[1], 1);
  assert.equal((await pick([need(400 * MIB, 5)]))?.[1], 1);
  assert.equal((await pick([need(400 * MIB, 5)], true))?.[1], 2);
});

test('slow rows take more CPUs: for processes of one thread each, and from 250 ms on for the threads of one process', async () => {
  assert.deepEqual(
    (await pick([need(MIB, 100)]))?.filter((_, i) => i !== 2),
    [2, 0.5, 2, 1],
  );
  assert.deepEqual(
    (await pick([need(MIB, 800)]))?.filter((_, i) => i !== 2),
    [4, 2, 1, 4],
  );
});

test('memory that few CPUs cannot have takes more of them, which one large process shares', async () => {
  const size = await sizeFor([need(3 * GIB, 5)], false);
  assert.deepEqual([size?.cpu, size?.memoryBytes, size?.processes, size?.threads], [2, 8 * GIB, 1, 2]);
  assert.match(size!.reason, /^fewer CPUs cannot have 8 GiB of memory$/);
  assert.equal(await sizeFor([need(40 * GIB, 5)], false), undefined);
});

test('memory that runs were measured to take counts', async () => {
  assert.equal((await pick([need(MIB, 1, { privateBytes: 600 * MIB })]))?.[1], 1);
});

test('requests of a model whose rows are not joined wait for each other: the concurrency is low', async () => {
  assert.deepEqual(await pick([need(MIB, 10, { joins: false })]), [1, 0.5, 4, 1, 1]);
  assert.equal(
    (await pick([need(MIB, 400, { joins: false })]))?.[2],
    2,
    'two requests at the least: one is read while one runs',
  );
});

test('several models share an instance, which has room for all of them', async () => {
  assert.equal((await pick([need(100 * MIB, 1), need(100 * MIB, 1)]))?.[1], 1);
  assert.equal((await pick(Array.from({ length: 14 }, () => need(MIB, 1))))?.[1], 2);
});

test('without run times the CPU is the least, and nothing is said of costs', async () => {
  const one = need(MIB, undefined);
  const size = (await sizeFor([one], false))!;
  assert.deepEqual([size.cpu, size.reason], [1, 'the least, because run times were not measured']);
  assert.equal(costFor(one, size, LIST_PRICES.prices), undefined);
});

test('a million predictions cost their time at full load, or 100 ms each and the fee if they come one at a time', async () => {
  const one = need(MIB, 1, { joins: false });
  const size = { cpu: 1, memoryBytes: GIB, concurrency: 4, processes: 1, threads: 1, reason: '' };
  const cost = costFor(one, size, LIST_PRICES.prices)!;
  // 1 ms of the engine and 0.1 ms of the server.
  assert.equal(Math.round(cost.rate), 909);
  const { activeCpuSecond, activeMemorySecond, instanceCpuSecond, instanceMemorySecond, millionRequests } =
    LIST_PRICES.prices;
  assert.ok(Math.abs(cost.cloudRunInstances - 1100 * (instanceCpuSecond + instanceMemorySecond)) < 1e-9);
  assert.ok(Math.abs(cost.alone - (100_000 * (activeCpuSecond + activeMemorySecond) + millionRequests)) < 1e-9);
});
