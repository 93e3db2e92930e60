import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { createFetcher } from '../../../functions/model/fetch/fetcher.ts';
import type { FetchOrder } from '../../../functions/model/fetch/protocol.ts';
import { descendants } from '../../helpers/descendants.ts';
import { externalWeights, identity } from '../../helpers/models.ts';
import { type StorageOptions, startStorage } from '../../helpers/storage-server.ts';
import { until } from '../../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'fetcher-'));
after(() => rmSync(folder, { recursive: true }));

async function setUp(t: TestContext, options: StorageOptions = {}, background = false) {
  const storage = await startStorage(options);
  // The client in the fetching process reads it there.
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  const retries: string[] = [];
  const events = { onRetry: (message: string) => void retries.push(message), onCache: () => {} };
  const fetcher = createFetcher({ uri: 'gs://models', cache: undefined }, events, background);
  t.after(async () => {
    fetcher.close();
    await storage.close();
  });
  return { storage, fetcher, retries };
}

const orderOf = async (fetcher: ReturnType<typeof createFetcher>, name: string): Promise<FetchOrder> => {
  const [entry] = await fetcher.list();
  const path = 'model.onnx';
  const files = [{ path, entry: entry!, maxBytes: undefined }];
  return { folder: join(folder, name), files, model: { path, place: path, sha256: undefined } };
};

test('jobs run in one process, which starts with the first job', async (t) => {
  const { storage, fetcher } = await setUp(t);
  storage.put('models', 'model.onnx', identity());
  assert.deepEqual(descendants(process.pid), []);
  const order = await orderOf(fetcher, 'one');
  const pids = descendants(process.pid);
  assert.equal(pids.length, 1);
  const reported: number[] = [];
  assert.deepEqual(await fetcher.fetchModel(order, (bytes) => reported.push(bytes)), { external: [] });
  assert.ok(readFileSync(join(folder, 'one/model.onnx')).equals(identity()));
  assert.equal(reported.at(-1), identity().length);
  assert.deepEqual(descendants(process.pid), pids);
});

test('an error has the fault that the source gave it', async (t) => {
  const { storage, fetcher, retries } = await setUp(t);
  await assert.rejects(fetcher.list(), { name: 'SourceError', fault: 'refused', message: /bucket/ });
  storage.put('models', 'model.onnx', identity());
  storage.inject({ kind: 'list', type: 'status', status: 503 });
  assert.equal((await fetcher.list()).length, 1);
  assert.equal(retries.length, 1, 'what passes is retried, and reported of');
});

test('every job fails with an invalid address', async (t) => {
  const fetcher = createFetcher({ uri: 'gs://', cache: undefined }, { onRetry: () => {}, onCache: () => {} });
  t.after(fetcher.close);
  await assert.rejects(fetcher.list(), { code: 'MODEL_FAILED', message: /not of the form gs:\/\/bucket/ });
});

test('a process that dies fails its jobs, and the next job starts another', async (t) => {
  const { storage, fetcher } = await setUp(t, { bytesPerSecond: 1e6 });
  storage.put('models', 'model.onnx', new Uint8Array(50e6));
  const order = await orderOf(fetcher, 'two');
  const [pid] = descendants(process.pid);
  const begun = Promise.withResolvers<void>();
  const failed = assert.rejects(
    fetcher.fetchModel(order, () => begun.resolve()),
    { name: 'SourceError', fault: 'transient', message: /the fetching process ended: killed by SIGKILL/ },
  );
  await begun.promise;
  process.kill(pid!, 'SIGKILL');
  await failed;
  assert.equal((await fetcher.list()).length, 1);
  assert.notEqual(descendants(process.pid)[0], pid);
});

test('closing ends the process and its jobs; later jobs are refused', async (t) => {
  const { storage, fetcher } = await setUp(t, { latencyMs: 60_000 });
  storage.put('models', 'model.onnx', identity());
  const failed = assert.rejects(fetcher.list(), /shutting down/);
  fetcher.close();
  await failed;
  await until(() => descendants(process.pid).length === 0, 'the end of the process');
  await assert.rejects(fetcher.list(), { code: 'DRAINING' });
});

test('a fetching process for background work has a lower priority', async (t) => {
  const { storage, fetcher } = await setUp(t, {}, true);
  storage.put('models', 'model.onnx', identity());
  await fetcher.list();
  assert.ok(getPriority(descendants(process.pid)[0]!) > getPriority());
});

test('a local file is inspected without a source', async (t) => {
  const fetcher = createFetcher(undefined, { onRetry: () => {}, onCache: () => {} });
  t.after(fetcher.close);
  const file = join(folder, 'file');
  const { model, location } = externalWeights('parts/w');
  writeFileSync(file, model);
  const sha256 = createHash('sha256').update(model).digest('hex');
  assert.deepEqual(await fetcher.check({ path: file, place: 'it', sha256 }), { external: [location] });
  await assert.rejects(fetcher.check({ path: file, place: 'it', sha256: 'f'.repeat(64) }), {
    code: 'MODEL_FAILED',
    message: `it: its SHA-256 is ${sha256}, MODEL_SHA256 is ${'f'.repeat(64)}`,
  });
});

const missing = { path: join(folder, 'missing'), place: 'it', sha256: undefined };

test('a job fails as transient while no process can be started for want of memory, and the next starts one', async (t) => {
  const fetcher = createFetcher(undefined, { onRetry: () => {}, onCache: () => {} });
  t.after(fetcher.close);
  const fork = t.mock.method(childProcess, 'fork', () => {
    throw new Error('spawn ENOMEM');
  });
  syncBuiltinESMExports();
  fetcher.start();
  const message = 'the fetching process could not start: spawn ENOMEM';
  await assert.rejects(fetcher.check(missing), { name: 'SourceError', fault: 'transient', message });
  fork.mock.restore();
  syncBuiltinESMExports();
  await assert.rejects(fetcher.check(missing), { code: 'MODEL_FAILED', message: /ENOENT/ });
});

/** Uses up the file descriptors, and prints how a job ends; then again when they are free. */
const WITHOUT_DESCRIPTORS = `
  const { closeSync, openSync } = await import('node:fs');
  const { createFetcher } = await import(process.argv[1]);
  const fetcher = createFetcher(undefined, { onRetry() {}, onCache() {} });
  const check = () => fetcher.check({ path: '/missing', place: 'it' }).catch(({ message }) => console.log(message));
  const open = [];
  try { for (;;) open.push(openSync('/dev/null')); } catch {}
  fetcher.start();
  await check();
  for (const one of open) closeSync(one);
  await check();
  fetcher.close();
`;

test('a job fails as transient while no file descriptor is free, and the next starts a process', () => {
  const module = new URL('../../../functions/model/fetch/fetcher.ts', import.meta.url).href;
  const command = ['ulimit -n 64; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', WITHOUT_DESCRIPTORS];
  const { stdout, stderr } = childProcess.spawnSync('/bin/sh', ['-c', ...command, module], { encoding: 'utf8' });
  assert.match(stdout, /^the fetching process ended: spawn .* EMFILE\nit: .*ENOENT.*\n$/, stderr);
});
