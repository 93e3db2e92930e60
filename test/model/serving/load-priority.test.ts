import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { MemoryBudget } from '../../../functions/model/memory-budget.ts';
import { createModel, type ModelOptions } from '../../../functions/model/serving/model.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { localStore, pickMain } from '../../helpers/local-models.ts';
import { addConstant, writeModel } from '../../helpers/models.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const ENGINE = engineOptions();

/** A model whose load gets no memory before the test ends, and what it tells the budget of its use. */
function setUp(t: TestContext, options: Partial<ModelOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'load-priority-'));
  const store = localStore(writeModel(folder, 'm', addConstant(1)));
  const asked = Promise.withResolvers<() => number>();
  const memory = Promise.withResolvers<never>();
  const budget = {
    limit: undefined,
    strict: false,
    used: () => 0,
    reserve(_bytes: number, _what: string, usedSeconds: () => number) {
      asked.resolve(usedSeconds);
      return memory.promise;
    },
  } as unknown as MemoryBudget;
  const model = createModel('m', {
    store,
    budget,
    engine: ENGINE,
    telemetry: recordTelemetry(),
    modelCount: () => 1,
    keepsSpareMemory: () => false,
    pick: pickMain,
    onListed: () => {},
    inLoadTurn: (work) => work(),
    ...options,
  });
  t.after(async () => {
    memory.reject(new Error('the test is over'));
    await model.close();
    rmSync(folder, { recursive: true });
  });
  return { model, usedSeconds: asked.promise };
}

test('a load for a request counts the seconds in which requests named the model, and at least the one that waits', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const { model, usedSeconds } = setUp(t);
  const requests = [model.whenLive()];
  const seconds = await usedSeconds;
  assert.equal(seconds(), 1);
  now = 1000;
  requests.push(model.whenLive());
  assert.equal(seconds(), 2);
  now = 30_000;
  assert.equal(seconds(), 1);
  for (const request of requests) request.catch(() => {});
});

test('a load for the operator, and that of the model without which the server is not ready, may evict any model', async (t) => {
  const wanted = setUp(t);
  wanted.model.load();
  assert.equal((await wanted.usedSeconds)(), Number.POSITIVE_INFINITY);
  const required = setUp(t, { isRequired: true, loadsOnRequest: () => false });
  required.model.whenLive().catch(() => {});
  assert.equal((await required.usedSeconds)(), Number.POSITIVE_INFINITY);
});
