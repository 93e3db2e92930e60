import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { attachEngine, type Engine } from '../../../functions/engine/process/engine-process.ts';
import { stampOfFile } from '../../../functions/engine/process/file-stamp.ts';
import { spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { initializer, model, node, value } from '../../../scripts/onnx/build.ts';
import { column, joined } from '../../helpers/tensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'mapped-files-'));
after(() => rmSync(folder, { recursive: true }));

const LONG_MS = 20_000;
const ROWS = 500_000;

/** `y` = `x` + `constant`, float32 [N,1]: an element of a table of 2 MB that the last row's number selects. */
function table(constant: number): Uint8Array {
  return model({
    name: 'table',
    nodes: [node('Gather', ['table', 'at'], ['picked'], { axis: 0n }), node('Add', ['x', 'picked'], ['y'])],
    initializers: [
      initializer('table', 'float32', [ROWS, 1], new Float32Array(ROWS).fill(constant)),
      // The end of the table, which is not read before the first run.
      initializer('at', 'int64', [1], [ROWS - 1]),
    ],
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
  const [output] = await engine.run(joined(column(1)), LONG_MS);
  return Number(output!.data[0]);
}

test('an engine whose file is replaced or removed answers with the weights that it has loaded', async (t) => {
  const { engine, path } = await load(t, 'replaced');
  assert.equal(await predict(engine), 11);
  writeFileSync(`${path}.new`, table(20));
  await rename(`${path}.new`, path);
  assert.equal(await predict(engine), 11);
  rmSync(path);
  assert.equal(await predict(engine), 11);
});

for (const [what, write] of [
  ['written to', (path: string) => writeFileSync(path, table(20), { flag: 'r+' })],
  ['cut short', (path: string) => truncateSync(path, 4096)],
] as const) {
  test(`an engine whose file is ${what} ends without an answer, and its rows are not to blame`, async (t) => {
    const { engine, path } = await load(t, what.replaceAll(' ', '-'));
    assert.equal(await predict(engine), 11);
    write(path);
    await assert.rejects(predict(engine), { name: 'RunError', fault: 'crashed', ofItself: false });
    assert.match(await engine.exited, /SIGBUS|SIGKILL/);
  });
}
