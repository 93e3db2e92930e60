import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import {
  type Ended,
  HOST_ARGUMENTS,
  type ListeningServer,
  type HostKind as ServerKind,
  type ServerProcess,
  spawnServer,
  startServer,
} from '../../scripts/server-process.ts';
import { descendants, isAlive } from './descendants.ts';
import { startImage } from './image.ts';
import { until } from './until.ts';

export { freePort } from '../../scripts/server-process.ts';

/** The container's server, the functions framework's, or the container's image under Docker. */
export type HostKind = ServerKind | 'image';

/** What callers hear of a load that failed; why is in the log. */
export const NOT_TOLD =
  /^the model is not ready: it failed (when its files were listed|while it was [a-z ]+): the server's log says why$/;

/** Waits for a line of the log with such a message. */
export function untilLogged({ lines }: Pick<Host, 'lines'>, message: RegExp): Promise<string> {
  const find = () => lines.map((line) => String(readLine(line).message)).find((text) => message.test(text));
  return until(find, `a line of the log like ${message}`);
}

function readLine(line: string): { message?: unknown } {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

/** A server of this project in a process of its own, as it is built. */
export interface Host extends ListeningServer {
  readonly kind: HostKind;
  /** The processes below it: those with engines, and those that fetch. */
  engines(): number[];
}

export type { Ended };
export type Env = Readonly<Record<string, string>>;

/** The bundled iris model's folder. */
export const IRIS = fileURLToPath(new URL('../../models/iris', import.meta.url));
const DEFAULTS = { NODE_ENV: 'production', MODEL_URI: IRIS, INFERENCE_PROCESSES: '1' };
const READY_MS = 60_000;

/** Starts the process without waiting for anything, on the port that `env` names. */
export function spawnHost(kind: ServerKind, env: Env): ServerProcess {
  buildIfNeeded('ctimeMs');
  return spawnServer({ command: [process.execPath, ...HOST_ARGUMENTS[kind]], env: { ...DEFAULTS, ...env } });
}

/** Starts a host with these settings and waits until it takes connections: its model may still load. */
export async function startHost(kind: HostKind, env: Env = {}): Promise<Host> {
  if (kind === 'image') return { kind, ...(await startImage(env)) };
  buildIfNeeded('ctimeMs');
  const server = await startServer(HOST_ARGUMENTS[kind], { ...DEFAULTS, ...env });
  return { ...server, kind, engines: () => descendants(server.pid) };
}

/**
 * A host for the tests of the describe block that calls this: started before them, ready when they run, and stopped
 * after them, failed or not.
 */
export function useHost(kind: HostKind, env: () => Env): () => Host {
  let host: Host | undefined;
  before(async () => {
    host = await startHost(kind, env());
    const { url } = host;
    await until(async () => (await fetch(`${url}/ready`)).ok || undefined, 'the model to be ready', READY_MS);
  });
  after(async () => assert.deepEqual((await host?.stop())?.left ?? [], [], 'an engine process outlived its host'));
  return () => host!;
}

/** A host's processes that hold a model, or wait for one: not those that fetch. */
export function engineProcesses(host: Host): number[] {
  return host.engines().filter((pid) => /[\\/]engine\.js/.test(commandOf(pid)));
}

/**
 * Runs `body` while the engine processes of a host are stopped: a run that begins meanwhile does not end before `body` has, however
 * busy the machine is, and takes no CPU.
 */
export async function withStoppedEngines<T>(host: Host, body: () => Promise<T>): Promise<T> {
  const pids = engineProcesses(host);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    return await body();
  } finally {
    // One that was killed meanwhile is gone.
    for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGCONT');
  }
}

function commandOf(pid: number): string {
  try {
    return process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'latin1')
      : execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    // It has ended since it was listed.
    return '';
  }
}
