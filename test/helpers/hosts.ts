import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descendants, isAlive, kill } from './descendants.ts';
import { containerPid, docker, spawnImage } from './image.ts';
import { until } from './until.ts';

/** The container's server from its sources, the functions framework's, or the container's image under Docker. */
export type HostKind = 'container' | 'functions' | 'image';

/** How a host ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From the signal to the end. */
  readonly ms: number;
  /** Processes of it that were still there 2 s after its end; they have been killed. */
  readonly left: readonly number[];
}

/** What callers hear of a load that failed; why is in the log. */
export const NOT_TOLD = /^the model is not ready: it failed (before|while) it was [a-z ]+: the server's log says why$/;

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

/** A server in a process of its own. */
export interface Host {
  readonly kind: HostKind;
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** The lines of stdout so far. */
  readonly lines: readonly string[];
  readonly stderr: () => string;
  /** Its engine processes. */
  engines(): number[];
  /** Sends the signal and waits for the end: SIGKILL after 15 s. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const FRAMEWORK = file('node_modules/@google-cloud/functions-framework/build/src/main.js');
const COMMANDS: Record<Exclude<HostKind, 'image'>, string[]> = {
  container: [file('functions/server.ts')],
  functions: [FRAMEWORK, '--target=predict', `--source=${file('functions/index.ts')}`],
};
/** The bundled iris model's folder. */
export const IRIS = file('models/iris');
/** What a server needs of the surroundings; all else would make its settings depend on who runs the tests. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG'];
const START_MS = 30_000;
const STOP_MS = 15_000;

const living = new Set<number>();
process.on('exit', () => living.forEach(killTree));

function killTree(pid: number): void {
  for (const each of [...descendants(pid), pid]) kill(each);
}

export type Env = Readonly<Record<string, string>>;

/** Starts the process without waiting for anything. Whoever calls it stops it by its pid. */
export function spawnHost(kind: Exclude<HostKind, 'image'>, env: Env): ChildProcess {
  const inherited = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
  const child = spawn(process.execPath, COMMANDS[kind], {
    env: { ...inherited, NODE_ENV: 'production', MODEL_URI: IRIS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid !== undefined) {
    living.add(pid);
    child.once('exit', () => living.delete(pid));
  }
  return child;
}

/** Starts a host with these settings on a free port and waits until it takes connections: its model may still load. */
export async function startHost(kind: HostKind, env: Env = {}): Promise<Host> {
  // The framework takes 0 for no port at all.
  const given = kind === 'container' ? 0 : await freePort();
  const name = `ml-model-test-${given}`;
  const child = kind === 'image' ? spawnImage(name, given, env) : spawnHost(kind, { PORT: String(given), ...env });
  let pid = child.pid!;
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('exit', (code, signal) => resolve([code, signal]));
  });

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    const started = performance.now();
    const family = [pid, ...descendants(pid)];
    const timer = setTimeout(() => family.forEach(kill), STOP_MS);
    if (kind === 'image') signalContainer(name, signal);
    else child.kill(signal);
    const [code, by] = await exited;
    clearTimeout(timer);
    const ms = performance.now() - started;
    await until(() => !family.some(isAlive), 'the end of all its processes', 2000).catch(() => {});
    const left = family.filter(isAlive);
    left.forEach(kill);
    return { code, signal: by, ms, left };
  }

  try {
    const port = await until(
      () => {
        if (child.exitCode !== null)
          throw new Error(`the host ended with ${child.exitCode}: ${stderr}${lines.join('\n')}`);
        return kind === 'container' ? portOf(lines) : answers(given);
      },
      'the host to listen',
      START_MS,
    );
    const url = `http://127.0.0.1:${port}`;
    if (kind === 'image') pid = await until(() => containerPid(name), 'the process of the container');
    return { kind, port, url, pid, child, lines, stderr: () => stderr, engines: () => descendants(pid), stop };
  } catch (error) {
    if (kind === 'image') signalContainer(name, 'SIGKILL');
    killTree(pid);
    throw error;
  }
}

/** A container that is already gone is what its owner wanted. */
function signalContainer(name: string, signal: NodeJS.Signals): void {
  try {
    docker('kill', '--signal', signal, name);
  } catch {
    // Its exit tells.
  }
}

function portOf(lines: readonly string[]): number | undefined {
  const line = lines.find((text) => text.includes('"port":'));
  return line === undefined ? undefined : (JSON.parse(line) as { port: number }).port;
}

async function answers(port: number): Promise<number | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
  await response?.arrayBuffer();
  return response === undefined ? undefined : port;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
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
    await until(async () => (await fetch(`${url}/ready`)).ok || undefined, 'the model to be ready', START_MS);
  });
  after(async () => assert.deepEqual((await host?.stop())?.left ?? [], [], 'an engine process outlived its host'));
  return () => host!;
}
