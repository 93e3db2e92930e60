import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { engineBytes } from '../../../functions/engine/capacity.ts';
import { ServingError } from '../../../functions/errors.ts';
import { MemoryBudget } from '../../../functions/model/memory-budget.ts';
import type { Generation } from '../../../functions/model/serving/generation.ts';
import { createModel } from '../../../functions/model/serving/model.ts';
import { descendants, kill } from '../../helpers/descendants.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { localStore, pickMain } from '../../helpers/local-models.ts';
import { swappedTokenizer, THAT, THIS } from '../../helpers/swapped-tokenizer.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { predictTexts, type RowOutputs } from '../../helpers/text-models.ts';
import { until } from '../../helpers/until.ts';
import { REFS } from '../../text/refs.ts';

const MIB = 2 ** 20;
const MODEL = 'text-classifier';

/** A copy of a reference model in a folder, as a server manages it. */
function setUp(t: TestContext, budget = new MemoryBudget(undefined)) {
  const uri = mkdtempSync(join(tmpdir(), 'prepared-inputs-'));
  cpSync(join(REFS, 'models', MODEL), uri, { recursive: true });
  const store = localStore(uri);
  const model = createModel(MODEL, {
    store,
    budget,
    engine: engineOptions(),
    telemetry: recordTelemetry(),
    modelCount: () => 1,
    keepsSpareMemory: () => false,
    pick: (layout) => pickMain(layout),
    onListed: () => {},
    inLoadTurn: (work) => work(),
    settleMs: 1,
  });
  t.after(async () => {
    await model.close();
    rmSync(uri, { recursive: true });
  });
  return { model, overwrite: () => writeFileSync(join(uri, 'tokenizer.json'), swappedTokenizer(MODEL)) };
}

async function logitsOf(generation: Generation, text: string): Promise<RowOutputs[string]> {
  const [row] = await predictTexts(generation, [text]);
  if (row === undefined || row instanceof ServingError) throw row ?? new Error('the row is missing');
  return row.logits!;
}

test('a tokenizer that was overwritten is not mixed with the model that serves: the next probe loads a new version', async (t) => {
  const { model, overwrite } = setUp(t);
  model.load();
  const old = await model.whenLive();
  const before = await logitsOf(old, THAT);
  overwrite();
  for (const pid of descendants(process.pid)) if (pid !== old.engines()[0]!.pid) kill(pid);
  await until(() => old.fault()?.includes('the file has changed since it was listed'), 'the replacement to be refused');
  await assert.rejects(logitsOf(old, THIS), { code: 'NOT_READY' });
  assert.equal(model.status().state, 'degraded');
  model.load();
  assert.deepEqual(await logitsOf(await model.whenLive(), THIS), before);
  assert.equal(model.status().state, 'ready');
});

test('a tokenizer that changes while the model loads is read again', async (t) => {
  const { model, overwrite } = setUp(t);
  model.load();
  const before = await logitsOf(await model.whenLive(), THAT);
  await model.unload();
  const loading = model.whenLive();
  await until(() => model.status().phase !== 'listing', 'the files to be listed');
  overwrite();
  assert.deepEqual(await logitsOf(await loading, THIS), before);
});

test('memory of the budget is reserved for the processes that prepare inputs, and returned', async (t) => {
  const budget = new MemoryBudget(1000 * MIB, true);
  const { model } = setUp(t, budget);
  await model.whenLive();
  const engine = engineBytes(statSync(join(REFS, 'models', MODEL, 'model.onnx')).size);
  // Measured: 31 MiB.
  assert.ok(model.reservedBytes() >= engine + 30 * MIB, `${model.reservedBytes() / MIB} MiB are reserved`);
  assert.equal(budget.used(), model.reservedBytes());
  await model.unload();
  assert.equal(budget.used(), 0);
});

test('a budget that has no room for the processes that prepare inputs refuses the model', async (t) => {
  const { model } = setUp(t, new MemoryBudget(80 * MIB, true));
  await assert.rejects(model.whenLive(), {
    code: 'NOT_READY',
    detail: /needs about 1\d\d MiB of memory, and MODEL_MEMORY_BUDGET leaves 80 MiB/,
  });
});
