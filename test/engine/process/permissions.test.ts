import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { attachEngine } from '../../../functions/engine/process/engine-process.ts';
import { permissions, spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { stringNormalizer } from '../../helpers/exported-models.ts';
import { writeModel } from '../../helpers/models.ts';

test('an engine process loads its library, and can write no file and start neither a process nor a thread', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'permissions-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'written');
  const attempts = `
    import { spawnSync } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    const attempt = async (act) => { try { await act(); return 'allowed'; } catch (error) { return error.code; } };
    process.stdout.write(JSON.stringify([
      await attempt(() => import('onnxruntime-node')),
      await attempt(() => new Worker('0', { eval: true })),
      await attempt(() => writeFileSync(${JSON.stringify(file)}, '')),
      await attempt(() => spawnSync(process.execPath, ['--version'])),
    ]));`;
  const child = spawn(process.execPath, [...permissions(), '--input-type=module', '--eval', attempts], {
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.deepEqual(
    [err, JSON.parse(out)],
    ['', ['allowed', 'ERR_ACCESS_DENIED', 'ERR_ACCESS_DENIED', 'ERR_ACCESS_DENIED']],
  );
  assert.ok(!existsSync(file));
});

test("an engine process loads scikit-learn's text models, for which it may have to make a locale", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'permissions-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(writeModel(folder, 'lower', stringNormalizer()), 'model.onnx');
  const engine = attachEngine(spawnEngine());
  const { signature } = await engine.load({ path, intraOpThreads: 1, executionProviders: ['cpu'] });
  assert.deepEqual(
    signature.inputs.map(({ dtype }) => dtype),
    ['string'],
  );
  engine.kill();
  await engine.exited;
});
