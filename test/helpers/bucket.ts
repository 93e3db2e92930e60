/** Servers whose models lie in a bucket of the test's own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { type Answer, call, post } from './calls.ts';
import { type Env, type Host, type HostKind, startHost } from './hosts.ts';
import type { LoggedRequest, StorageOptions, StorageServer } from './storage-server.ts';
import { startStorage } from './storage-server.ts';
import { until } from './until.ts';

export const BUCKET = 'models';
/** For objects that are not to be taken for one half of an upload under way. */
export const LONG_AGO = { updated: '2026-01-01T00:00:00.000Z' };
/** A first load on a machine that is busy with other tests. */
const READY_MS = 60_000;

let temp: string | undefined;

/** A folder for the temporary files of servers. It goes when the test process ends. */
export function tempFolder(): string {
  if (temp === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'loading-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    temp = made;
  }
  return mkdtempSync(join(temp, 'tmp-'));
}

/** The settings of a server that takes `gs://models/<path>` from this storage server. */
export function fromBucket({ url }: Pick<StorageServer, 'url'>, path: string, env: Env = {}): Env {
  const uri = path === '' ? `gs://${BUCKET}` : `gs://${BUCKET}/${path}`;
  return { STORAGE_EMULATOR_HOST: url, MODEL_URI: uri, INFERENCE_PROCESSES: '1', TMPDIR: tempFolder(), ...env };
}

/** A storage server for the tests of the describe block that calls this. */
export function useStorage(options: StorageOptions = {}, fill: (storage: StorageServer) => void = () => {}) {
  let storage: StorageServer | undefined;
  before(async () => {
    storage = await startStorage(options);
    fill(storage);
  });
  after(() => storage?.close());
  return (): StorageServer => storage!;
}

/** Runs a test with a storage server of its own. */
export async function withStorage(body: (storage: StorageServer) => Promise<void>, options: StorageOptions = {}) {
  const storage = await startStorage(options);
  try {
    await body(storage);
  } finally {
    await storage.close().catch(() => {});
  }
}

/** Starts a server, which may still be loading, and ends it after the test: no process may outlive it. */
export async function withHost(env: Env, body: (host: Host) => Promise<void>, kind: HostKind = 'container') {
  const host = await startHost(kind, env);
  let left: readonly number[] = [];
  try {
    await body(host);
  } finally {
    ({ left } = await host.stop());
  }
  assert.deepEqual(left, [], 'a process outlived its host');
}

/** Waits for the model behind /predict. */
export function untilReady(host: Host): Promise<Answer> {
  return until(
    async () => {
      const answer = await call(host, '/ready');
      return answer.status === 200 && answer;
    },
    'the model to be ready',
    READY_MS,
  );
}

/** POSTs one row to a model by its name, and to one version of it. */
export function ask(host: Pick<Host, 'url'>, name: string, features: unknown, version?: string): Promise<Answer> {
  const path = version === undefined ? '' : `/versions/${version}`;
  return post(host, `/models/${encodeURIComponent(name)}${path}/predict`, { features });
}

/** The reads of one object's bytes. */
export function readsOf({ requests }: StorageServer, name: string): LoggedRequest[] {
  return requests.filter((request) => request.kind === 'media' && request.name === name);
}

export function listings({ requests }: StorageServer): LoggedRequest[] {
  return requests.filter(({ kind }) => kind === 'list');
}
