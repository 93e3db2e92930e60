import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyMemory, engineBytes, furtherEngineBytes, modelMemory } from '../../functions/engine/capacity.ts';
import { EnginePlan, type EnginePlanOptions, type WeightSetting } from '../../functions/model/engine-plan.ts';
import { MemoryBudget } from '../../functions/model/memory-budget.ts';

const MIB = 2 ** 20;
/** A model of 400 MiB. */
const BYTES = 400 * MIB;
/** An engine without a model, with what it needs for runs. */
const EMPTY = engineBytes(0);

interface Given {
  /** Bytes for all models. */
  readonly limit: number | undefined;
  readonly cpus?: number;
  readonly weights?: WeightSetting;
  readonly keepsSpareMemory?: boolean;
  readonly processes?: number;
}

const options = ({ limit, cpus = 2, weights, keepsSpareMemory = false, processes }: Given): EnginePlanOptions => ({
  budget: new MemoryBudget(limit),
  engine: { capacity: { cpus, memoryBytes: limit }, processes, intraOpThreads: 1, ...(weights && { weights }) },
  modelCount: () => 1,
  keepsSpareMemory: () => keepsSpareMemory,
});
const model = (mappableBytes?: number, fileBytes = 0) => ({ name: 'm', bytes: BYTES, fileBytes, mappableBytes });
const plan = (given: Given, size = model()) => EnginePlan.reserve(options(given), size, false);

const CHOICES: [title: string, given: Given, weights: string][] = [
  ['packed without a memory limit', { limit: undefined }, 'packed'],
  ['packed if as many engines fit as there are CPUs', { limit: 1200 * MIB }, 'packed'],
  ['mapped if twice as many fit then', { limit: 700 * MIB }, 'mapped'],
  ['packed if more than half of them fit packed', { limit: 1800 * MIB, cpus: 4 }, 'packed'],
  ['packed if memory is short for processes, and not for weights', { limit: 600 * MIB, cpus: 1 }, 'packed'],
  ['mapped if none fits packed', { limit: 500 * MIB, cpus: 1 }, 'mapped'],
  ['packed as the operator says', { limit: 700 * MIB, weights: 'packed' }, 'packed'],
  ['mapped as the operator says', { limit: undefined, weights: 'mapped' }, 'mapped'],
];
for (const [title, given, weights] of CHOICES) {
  test(`weights are ${title}`, async () => {
    assert.equal((await plan(given)).weights, weights);
  });
}

test('weights that cannot be mapped are never planned as if they were', async () => {
  const given = { limit: 620 * MIB, cpus: 1 };
  assert.equal((await plan({ ...given, limit: 500 * MIB }, model(BYTES))).weights, 'mapped');
  await assert.rejects(plan(given, model(0, BYTES)), {
    code: 'MODEL_FAILED',
    message: /needs about \d+ MiB of memory, and the memory limit leaves 620 MiB/,
  });
});

test('a model whose file is memory loads under a limit of 1.6 times its size and 256 MiB', async () => {
  const limit = 1.6 * BYTES + 128 * MIB;
  const unknown = await plan({ limit, cpus: 1 }, model(undefined, BYTES));
  assert.equal(unknown.isShort, true);
  const known = await plan({ limit, cpus: 1 }, model(BYTES, BYTES));
  assert.equal(known.weights, 'mapped');
  known.measure({ privateBytes: 50 * MIB, mappedBytes: BYTES });
  assert.equal(known.reserveEngines(), 1);
  assert.ok(known.reservedBytes() <= limit);
});

test('further engines are planned by the memory of the first, and the file once', async () => {
  const mapped = await plan({ limit: 900 * MIB, cpus: 4, weights: 'mapped' }, model(BYTES));
  assert.equal(mapped.reserveEngines(), 1);
  mapped.measure({ privateBytes: 48 * MIB, mappedBytes: BYTES });
  assert.equal(mapped.reserveEngines(), 4);
  assert.equal(mapped.reservedBytes(), BYTES + 4 * EMPTY);

  const packed = await plan({ limit: 2000 * MIB, cpus: 4, weights: 'packed' });
  assert.equal(packed.reserveEngines(), 2);
  packed.measure({ privateBytes: 448 * MIB, mappedBytes: BYTES });
  assert.equal(packed.reserveEngines(), 3);
  assert.equal(packed.reservedBytes(), 3 * furtherEngineBytes(448 * MIB));
});

test('engines with a compiled model share its weights, and the memory of packed ones is free again', async () => {
  const compiled = await plan({ limit: 2000 * MIB, cpus: 4, weights: 'packed' });
  compiled.measure({ privateBytes: 448 * MIB, mappedBytes: BYTES, isCompiled: false });
  assert.equal(compiled.reserveEngines(), 3);
  compiled.measure({ privateBytes: 48 * MIB, mappedBytes: BYTES, isCompiled: true });
  assert.equal(compiled.reserveEngines(), 3);
  assert.equal(compiled.reservedBytes(), BYTES + 3 * EMPTY);
});

test('an engine that takes more than the estimate is planned with what it takes', async () => {
  const greedy = await plan({ limit: 5000 * MIB, cpus: 4 });
  greedy.measure({ privateBytes: 1500 * MIB, mappedBytes: BYTES });
  assert.equal(greedy.reserveEngines(), 2);
  assert.ok(greedy.reservedBytes() >= 3000 * MIB);
});

test('without a measurement, and for a file that is copied, the estimate stays', async () => {
  for (const first of [
    { privateBytes: undefined, mappedBytes: BYTES },
    { privateBytes: 60 * MIB, mappedBytes: 0 },
  ]) {
    const copied = await plan({ limit: 2000 * MIB, cpus: 4 });
    copied.measure(first);
    copied.reserveEngines();
    assert.equal(copied.reservedBytes(), 2 * engineBytes(BYTES));
  }
});

test('memory for a newer version is kept free, though the measured engines are smaller', async () => {
  const given = { limit: 2000 * MIB, cpus: 8, weights: 'mapped', keepsSpareMemory: true } as const;
  const kept = await plan(given, model(BYTES));
  kept.measure({ privateBytes: 48 * MIB, mappedBytes: BYTES });
  kept.reserveEngines();
  assert.ok(2000 * MIB - kept.reservedBytes() >= engineBytes(BYTES));
  const set = await plan({ ...given, processes: 10 }, model(BYTES));
  set.measure({ privateBytes: 48 * MIB, mappedBytes: BYTES });
  assert.equal(set.reserveEngines(), 10);
});

const MACHINE = 2048 * MIB;
const machine = { cpus: 4, memoryBytes: MACHINE };
const LIMIT = modelMemory(machine)!;
const onMachine = (budget: MemoryBudget): Promise<EnginePlan> => {
  const engine = { capacity: machine, processes: undefined, intraOpThreads: 1 };
  const given = { budget, engine, modelCount: () => 1, keepsSpareMemory: () => false };
  return EnginePlan.reserve(given, { name: 'm', bytes: MIB, fileBytes: 0 }, false);
};

test('an engine that takes more than the estimate for its runs has fewer engines started, with room for bodies', async () => {
  const budget = new MemoryBudget(LIMIT);
  const wide = await onMachine(budget);
  assert.equal(wide.reserveEngines(), 4);
  wide.measure({ privateBytes: engineBytes(MIB), mappedBytes: 0 });
  assert.equal(wide.reserveEngines(), 4, 'no more than the estimate');
  const measured = 500 * MIB;
  wide.measure({ privateBytes: measured, mappedBytes: 0 });
  assert.equal(wide.reserveEngines(), Math.floor((LIMIT - bodyMemory(MACHINE)) / measured));
  assert.equal(budget.used(), 2 * measured);
  assert.equal(wide.reserveEngines(), 2, 'what was measured stays');
  wide.measure({ privateBytes: 3 * MACHINE, mappedBytes: 0 });
  assert.equal(wide.reserveEngines(), 1, 'one engine always');
});

test('an engine may take its share of the memory that neither models nor bodies take', async () => {
  const budget = new MemoryBudget(LIMIT);
  const one = await onMachine(budget);
  one.reserveEngines();
  const each = engineBytes(MIB);
  const spare = LIMIT - bodyMemory(MACHINE) - 4 * each;
  assert.equal(one.engineLimit(), each + spare / 4);
  const other = await onMachine(budget);
  assert.equal(one.engineLimit(), each + (spare - each) / 8, 'another model has the same share');
  other.release();
  const full = await budget.reserve(LIMIT - 4 * each, 'all the rest');
  assert.equal(one.engineLimit(), each);
  full.release();
});

/** Processes that prepare texts or pictures. */
const PREPARING = 100 * MIB;
const prepared = (preparingBytes = PREPARING) => ({ ...model(), preparingBytes });

test('processes that prepare inputs take memory of the budget, and leave room for fewer engines', async () => {
  const limit = 4 * engineBytes(BYTES);
  const without = await plan({ limit, cpus: 4, weights: 'packed' });
  const given = { limit, cpus: 4, weights: 'packed' } as const;
  const engines = without.reserveEngines();
  const fitting = (limit - without.reservedBytes()) / MIB;
  const many = await plan(given, prepared(fitting * MIB + MIB));
  assert.equal(many.reserveEngines(), engines - 1);
  const few = await plan(given, prepared());
  const each = without.reservedBytes() / engines;
  const left = few.reserveEngines();
  assert.equal(few.reservedBytes(), PREPARING + each * left);
});

test('processes that prepare inputs are planned with what they take, once they have loaded', async () => {
  const limit = 4 * engineBytes(BYTES);
  const measured = await plan({ limit, cpus: 1 }, prepared());
  measured.measure({ privateBytes: undefined, mappedBytes: 0, preparingBytes: 3 * PREPARING });
  const engines = measured.reserveEngines();
  const plain = await plan({ limit, cpus: 1 });
  assert.equal(engines, plain.reserveEngines());
  assert.equal(measured.reservedBytes() - plain.reservedBytes(), 3 * PREPARING);
});

test('the only model of a server loads though its processes that prepare inputs exceed the estimate', async () => {
  const limit = 1024 * MIB;
  const size = { ...prepared(200 * MIB), bytes: 450 * MIB };
  assert.equal((await plan({ limit, cpus: 1, weights: 'packed' }, size)).isShort, true);
  const strict = { ...options({ limit, cpus: 1, weights: 'packed' }), budget: new MemoryBudget(limit, true) };
  await assert.rejects(EnginePlan.reserve(strict, { ...size, preparingBytes: 500 * MIB }, false), {
    code: 'MODEL_FAILED',
    message: /MODEL_MEMORY_BUDGET leaves 1024 MiB/,
  });
});
