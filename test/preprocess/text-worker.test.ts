import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { attachEngine, type Engine } from '../../functions/engine/process/engine-process.ts';
import { engineEnvironment } from '../../functions/engine/process/environment.ts';
import { stampOfFile } from '../../functions/engine/process/file-stamp.ts';
import { permissions } from '../../functions/engine/process/spawn.ts';
import { FATAL_TEXT, fatalNormalizer } from '../helpers/fatal-tokenizer.ts';
import { preparationOf } from '../helpers/text-models.ts';
import { REFS } from '../text/refs.ts';

const ENTRY = fileURLToPath(new URL('../../functions/preprocess/process/text-worker.ts', import.meta.url));

function startWorker(): { engine: Engine; written: Promise<string[]> } {
  const child = spawn(process.execPath, [...permissions(), ENTRY], {
    env: engineEnvironment(process.env),
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const written = Promise.all([text(child.stdout!), text(child.stderr!)]);
  return { engine: attachEngine(child), written };
}

test('a process loads no tokenizer.json that has changed since it was listed', async (t) => {
  const { engine } = startWorker();
  t.after(() => engine.kill());
  const stamp = '1-1';
  const preparation = preparationOf('text-classifier', { preparation: { stamp } });
  const changed = { code: 'FILE_CHANGED', message: /tokenizer\.json: the file has changed since it was listed/ };
  await assert.rejects(engine.load(preparation), changed);
  const listed = stampOfFile(statSync(preparation.tokenizer, { bigint: true }));
  await engine.load({ ...preparation, stamp: listed });
});

test('a process that ends while it tokenizes writes nothing of the text to the log', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'text-worker-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const tokenizer = join(folder, 'tokenizer.json');
  const json = JSON.parse(readFileSync(join(REFS, 'models/text-classifier/tokenizer.json'), 'utf8')) as object;
  writeFileSync(tokenizer, JSON.stringify({ ...json, normalizer: fatalNormalizer() }));
  const { engine, written } = startWorker();
  await engine.load(preparationOf('text-classifier', { preparation: { tokenizer } }));
  const run = engine.run(
    [
      { slot: 0, dtype: 'int32', dims: [1, 2], parts: [Int32Array.of(16, 0)] },
      { slot: 1, dtype: 'string', dims: [1], parts: [[FATAL_TEXT]] },
    ],
    10_000,
  );
  await assert.rejects(run, { fault: 'crashed', ofItself: true });
  assert.deepEqual(await written, ['', '']);
});
