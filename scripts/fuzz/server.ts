import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOW, STARTING, TABLE, writeFixture } from '../conformance/fixture.ts';
import { exchange } from '../conformance/http.ts';
import { SERVER_FLAGS } from '../node-flags.ts';
import { type ListeningServer, startServer } from '../server-process.ts';
import type { Signature } from './generate.ts';
import { writeFuzzModels } from './models.ts';

const ROOT = join(import.meta.dirname, '../..');
const START_MS = 60_000;
const EVERY_MS = 100;
const ASK_MS = 10_000;
/** The model behind `/predict`. */
const MAIN = 'iris';

/** Models that cannot fail on a body of their signature; those of the fixture that can, and the slow ones, are not used. */
function writeModels(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  writeFixture(folder);
  writeFuzzModels(folder);
  for (const name of [SLOW, STARTING, TABLE]) rmSync(join(folder, name), { recursive: true });
  mkdirSync(join(folder, MAIN));
  cpSync(join(ROOT, 'models', MAIN), join(folder, MAIN, '1'), { recursive: true });
  return folder;
}

/** Starts `server` on the models, and waits until it is ready. They are removed when this process exits. */
export async function startFuzzed(server: string): Promise<ListeningServer> {
  const folder = writeModels();
  const removeModels = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeModels);
  const names = { MODEL_NAME: MAIN, AIP_PREDICT_ROUTE: '/vertex' };
  const env = { NODE_ENV: 'production', LOG_LEVEL: 'error', MODEL_URI: folder, MODEL_LOAD: 'eager', ...names };
  const started = await startServer([...SERVER_FLAGS, resolve(server)], env);
  const end = performance.now() + START_MS;
  while (!(await isReady(started.url))) {
    if (started.child.exitCode === null && performance.now() < end) await sleep(EVERY_MS);
    else {
      await started.stop();
      throw new Error(`the server did not become ready:\n${started.written()}`);
    }
  }
  return started;
}

/** Whether `/ready` responds with 200; false also without a response. */
export const isReady = (url: string): Promise<boolean> =>
  exchange(url, { method: 'GET', path: '/ready' }, ASK_MS).then(
    ({ status }) => status === 200,
    () => false,
  );

/** The metadata of all models from the server, that of `/predict` first. */
export async function readSignatures(url: string): Promise<Signature[]> {
  const listed = await exchange(url, { method: 'POST', path: '/v2/repository/index' }, ASK_MS);
  const names = new Set([MAIN, ...(JSON.parse(listed.text) as { name: string }[]).map(({ name }) => name)]);
  const signatures: Signature[] = [];
  for (const name of names) {
    const path = `/v2/models/${name}`;
    // A prediction loads the model, whatever its body is; a description does not.
    await exchange(url, { method: 'POST', path: `${path}/infer`, body: '{}' }, ASK_MS);
    const answer = await exchange(url, { method: 'GET', path }, ASK_MS);
    if (answer.status !== 200) throw new Error(`no metadata of ${name}: ${answer.status} ${answer.text}`);
    signatures.push(JSON.parse(answer.text) as Signature);
  }
  return signatures;
}
