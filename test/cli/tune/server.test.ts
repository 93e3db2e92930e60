import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTunedServer } from '../../../functions/cli/tune/server.ts';
import { ServingError } from '../../../functions/errors.ts';
import { buildIfNeeded } from '../../../scripts/build-if-needed.ts';
import { isAlive, processTree } from '../../../scripts/process-tree.ts';
import { unknownOperator, writeModel } from '../../helpers/models.ts';

const IRIS = join(import.meta.dirname, '../../../models/iris/model.onnx');
const folder = mkdtempSync(join(tmpdir(), 'tuned-server-'));
after(() => rmSync(folder, { recursive: true }));
buildIfNeeded();

const children = (): number[] => processTree(process.pid).slice(1);

test('a server has the settings that it is given, is ready with all its engine processes, and leaves no process', async () => {
  const before = new Set(children());
  const server = await startTunedServer(IRIS, { INFERENCE_PROCESSES: '3' }, new AbortController().signal);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /^engine_processes\{state="idle"\} 3$/m);
  const own = children().filter((pid) => !before.has(pid));
  assert.ok(own.length >= 4);
  assert.ok(process.platform !== 'linux' || server.memory()! > 100e6);
  await server.stop();
  assert.deepEqual(own.filter(isAlive), []);
});

test('a model that does not load is refused with the reason that the log has, and the server is ended', async () => {
  const path = join(writeModel(folder, 'unknown', unknownOperator()), 'model.onnx');
  const before = children().length;
  await assert.rejects(
    startTunedServer(path, {}, new AbortController().signal),
    (error) => error instanceof ServingError && /did not load: .*NoSuchOperator/.test(error.message),
  );
  assert.equal(children().length, before);
});

test('an aborted start ends the server and rejects with the reason', async () => {
  const controller = new AbortController();
  const starting = startTunedServer(IRIS, {}, controller.signal);
  controller.abort(new Error('interrupted'));
  await assert.rejects(starting, /^Error: interrupted$/);
});
