import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SLOW, STARTING, TABLE, writeFixture } from '../conformance/fixture.ts';
import { exchange } from '../conformance/http.ts';
import { SERVER_FLAGS } from '../node-flags.ts';
import type { Signature } from './generate.ts';
import { writeFuzzModels } from './models.ts';

const ROOT = join(import.meta.dirname, '../..');
const START_MS = 60_000;
const STOP_MS = 10_000;
const ASK_MS = 10_000;
/** What `/predict` means. */
const MAIN = 'iris';

export interface FuzzedServer {
  readonly url: string;
  readonly pid: number;
  written(): string;
  stop(): Promise<void>;
}

/** Models that can't fail on a body of their signature: of the fixture's, those that can, and the slow ones, are left out. */
function writeModels(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  writeFixture(folder);
  writeFuzzModels(folder);
  for (const name of [SLOW, STARTING, TABLE]) rmSync(join(folder, name), { recursive: true });
  mkdirSync(join(folder, MAIN));
  cpSync(join(ROOT, 'models', MAIN), join(folder, MAIN, '1'), { recursive: true });
  return folder;
}

/** Starts `server` on the models, and waits until it is ready. */
export async function startServer(server: string): Promise<FuzzedServer> {
  const folder = writeModels();
  const port = await freePort();
  const { PATH, HOME, TMPDIR } = process.env;
  const env = { PATH, HOME, TMPDIR, NODE_ENV: 'production', PORT: String(port), LOG_LEVEL: 'error' };
  const child = spawn(process.execPath, [...SERVER_FLAGS, resolve(server)], {
    cwd: ROOT,
    env: { ...env, MODEL_URI: folder, MODEL_NAME: MAIN, MODEL_LOAD: 'eager', AIP_PREDICT_ROUTE: '/vertex' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      written = (written + text).slice(-8000);
    });
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    }
    rmSync(folder, { recursive: true });
  };
  try {
    const end = performance.now() + START_MS;
    while (!(await isReady(url))) {
      if (child.exitCode !== null || performance.now() > end) throw new Error(`the server did not start:\n${written}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid!, written: () => written, stop };
}

/** Whether `/ready` answers 200; false also where nothing answers. */
export const isReady = (url: string): Promise<boolean> =>
  exchange(url, { method: 'GET', path: '/ready' }, ASK_MS).then(
    ({ status }) => status === 200,
    () => false,
  );

/** All models as the server tells of them, that of `/predict` first. */
export async function readSignatures(url: string): Promise<Signature[]> {
  const listed = await exchange(url, { method: 'POST', path: '/v2/repository/index' }, ASK_MS);
  const names = new Set([MAIN, ...(JSON.parse(listed.text) as { name: string }[]).map(({ name }) => name)]);
  const signatures: Signature[] = [];
  for (const name of names) {
    const answer = await exchange(url, { method: 'GET', path: `/v2/models/${name}` }, ASK_MS);
    if (answer.status !== 200) throw new Error(`no metadata of ${name}: ${answer.status} ${answer.text}`);
    signatures.push(JSON.parse(answer.text) as Signature);
  }
  return signatures;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
