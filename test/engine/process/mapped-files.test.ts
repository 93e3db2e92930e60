import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { attachEngine, type Engine } from '../../../functions/engine/process/engine-process.ts';
import { stampOfFile } from '../../../functions/engine/process/file-stamp.ts';
import { spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { lookUp } from '../../helpers/models.ts';
import { column, joined } from '../../helpers/tensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'mapped-files-'));
after(() => rmSync(folder, { recursive: true }));

const LONG_MS = 20_000;
/** Elements of a model's table, of 2 MB. */
const ROWS = 500_000;

/** Starts an engine on a model file that others can write to. */
async function load(t: TestContext, name: string): Promise<{ engine: Engine; path: string }> {
  const below = join(folder, name);
  mkdirSync(below);
  const path = join(below, 'model.onnx');
  writeFileSync(path, lookUp(10, ROWS));
  const engine = attachEngine(spawnEngine());
  t.after(() => engine.kill());
  const stamps = [[path, stampOfFile(statSync(path, { bigint: true }))]] as const;
  const options = { intraOpThreads: 1, executionProviders: ['cpu'], weights: 'mapped' as const };
  const { weights } = await engine.load({ path, stamps, ...options });
  assert.ok(weights.mappedBytes >= ROWS * 4);
  return { engine, path };
}

async function predict(engine: Engine): Promise<number> {
  const [output] = await engine.run(joined(column(ROWS - 1)), LONG_MS);
  return Number(output!.data[0]);
}

test('an engine whose file is replaced or removed answers with the weights that it has loaded', async (t) => {
  const { engine, path } = await load(t, 'replaced');
  assert.equal(await predict(engine), 10);
  writeFileSync(`${path}.new`, lookUp(20, ROWS));
  await rename(`${path}.new`, path);
  assert.equal(await predict(engine), 10);
  rmSync(path);
  assert.equal(await predict(engine), 10);
});

for (const [what, signal, write] of [
  ['written to', /SIGKILL/, (path: string) => writeFileSync(path, lookUp(20, ROWS), { flag: 'r+' })],
  ['cut short', /SIGBUS/, (path: string) => truncateSync(path, 4096)],
] as const) {
  test(`an engine whose file is ${what} ends without an answer, and its rows are not to blame`, async (t) => {
    const { engine, path } = await load(t, what.replaceAll(' ', '-'));
    assert.equal(await predict(engine), 10);
    write(path);
    await assert.rejects(predict(engine), { name: 'RunError', fault: 'crashed', ofItself: false });
    assert.match(await engine.exited, signal);
  });
}
