import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { attachEngine, type Engine } from '../../../functions/engine/process/engine-process.ts';
import { stampOfFile } from '../../../functions/engine/process/file-stamp.ts';
import { spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { DATA_TYPES } from '../../../functions/onnx/data-type.ts';
import { initializer, model, node, value } from '../../../scripts/onnx/build.ts';
import { column, joined } from '../../helpers/tensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'mapped-files-'));
after(() => rmSync(folder, { recursive: true }));

const LONG_MS = 20_000;
const ROWS = 500_000;

/** `y` = element `x` of a table of 2 MB, float32 [N,1]: each element is `constant`. */
function table(constant: number): Uint8Array {
  return model({
    name: 'table',
    nodes: [node('Cast', ['x'], ['at'], { to: BigInt(DATA_TYPES.int64) }), node('Gather', ['table', 'at'], ['y'])],
    initializers: [initializer('table', 'float32', [ROWS], new Float32Array(ROWS).fill(constant))],
    inputs: [value('x', 'float32', ['N', 1])],
    outputs: [value('y', 'float32', ['N', 1])],
  });
}

/** Starts an engine on a model file that others can write to. */
async function load(t: TestContext, name: string): Promise<{ engine: Engine; path: string }> {
  const below = join(folder, name);
  mkdirSync(below);
  const path = join(below, 'model.onnx');
  writeFileSync(path, table(10));
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
  writeFileSync(`${path}.new`, table(20));
  await rename(`${path}.new`, path);
  assert.equal(await predict(engine), 10);
  rmSync(path);
  assert.equal(await predict(engine), 10);
});

for (const [what, signal, write] of [
  ['written to', /SIGKILL/, (path: string) => writeFileSync(path, table(20), { flag: 'r+' })],
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
