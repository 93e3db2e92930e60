import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { environmentOf, type GivenSettings } from '../../config/settings.ts';
import { ServingError } from '../../errors.ts';
import { readMemory } from '../measure/memory.ts';

/** A server of this project in a process of its own, on the loopback. */
export interface TunedServer {
  readonly port: number;
  readonly url: string;
  /** Bytes of memory of the server and its engine processes; undefined if this system does not say. */
  memory(): number | undefined;
  /** Ends it, with its engine processes. Settles when it has ended. */
  stop(): Promise<void>;
}

/** From the sources, the server is that of the build: it is what runs in production. */
const ENTRY = fileURLToPath(
  new URL(`${import.meta.url.endsWith('.ts') ? '../../../dist/' : './'}server.js`, import.meta.url),
);
/** As the image runs it. */
const FLAGS = ['--max-semi-space-size=2'];
const READY_BOUND_MS = 600_000;
const ENGINES_BOUND_MS = 60_000;
const STOP_BOUND_MS = 10_000;
const EVERY_MS = 25;
/** Lines of the log that are kept, to say why it did not start. */
const KEPT_LINES = 50;

/**
 * Starts the production server with some settings, and no others of this environment, and waits until all its engine processes are
 * ready.
 * @param model a `.onnx` file, or a model's folder
 * @throws ServingError `MODEL_FAILED` with the reason if it does not start; the signal's reason
 */
export async function startTunedServer(
  model: string,
  settings: GivenSettings,
  signal: AbortSignal,
): Promise<TunedServer> {
  signal.throwIfAborted();
  if (!existsSync(ENTRY)) throw failed(`${ENTRY} is missing: build it first, npm run build`);
  // A model that is compiled in the background takes CPU from the runs that are measured.
  const own = { PORT: '0', HOST: '127.0.0.1', PAGE: 'off', COMPILED_MODELS: 'off' };
  const given = { ...settings, ...own, MODEL_URI: model };
  const child = spawn(process.execPath, [...FLAGS, ENTRY], {
    env: { ...environmentOf(given), NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
    });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  async function stop(): Promise<void> {
    // It ends its engine processes first, which a kill would leave running for a moment.
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_BOUND_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
  }
  try {
    const port = await until(() => portIn(lines), READY_BOUND_MS, child, lines, signal);
    const url = `http://127.0.0.1:${port}`;
    await until(() => isReady(url, signal), READY_BOUND_MS, child, lines, signal);
    await until(() => haveStarted(url, signal), ENGINES_BOUND_MS, child, lines, signal);
    return { port, url, memory: () => memoryOf(child.pid!), stop };
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    throw error;
  }
}

/** Waits for a result that is not undefined or false. @throws ServingError if the process ends, or after `boundMs` */
async function until<T>(
  find: () => T | undefined | false | Promise<T | undefined | false>,
  boundMs: number,
  child: ChildProcess,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<T> {
  const end = performance.now() + boundMs;
  for (;;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    const reason = reasonIn(lines);
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined || reason !== undefined)
      throw failed(reason ?? `the server ended: ${lines.at(-1) ?? child.signalCode ?? child.exitCode}`);
    if (performance.now() > end)
      throw failed(`the server was not ready after ${boundMs / 1000} s: ${lines.at(-1) ?? ''}`);
    await sleep(EVERY_MS, undefined, { signal });
  }
}

interface LogLine {
  readonly severity?: string;
  readonly message?: string;
  readonly port?: number;
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return {};
  }
}

function portIn(lines: readonly string[]): number | undefined {
  return lines.map(parseLine).find(({ message = '', port }) => message.startsWith('listening on ') && port)?.port;
}

/** Why the model did not load, or the server did not start. The log is that of an operator, and says all of it. */
function reasonIn(lines: readonly string[]): string | undefined {
  const failure = lines
    .map(parseLine)
    .find(({ severity = '', message = '' }) => severity === 'CRITICAL' || message.startsWith('the model did not load'));
  return failure?.message;
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  const { status } = await get(`${url}/ready`, signal);
  return status === 200;
}

/** Whether no engine process still starts: those after the first one do so when the server is ready. */
async function haveStarted(url: string, signal: AbortSignal): Promise<boolean> {
  const { text } = await get(`${url}/metrics`, signal);
  return !/^engine_processes\{state="starting"\} [1-9]/m.test(text);
}

async function get(url: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { signal });
  return { status: response.status, text: await response.text() };
}

/** Memory of its own of each process, and the pages of files, which they share, once. */
function memoryOf(server: number): number | undefined {
  if (readMemory(server) === undefined) return undefined;
  const all = [server, ...childrenOf(server)].map((pid) => readMemory(pid));
  const known = all.filter((memory) => memory !== undefined);
  const own = known.reduce((sum, { privateBytes }) => sum + privateBytes, 0);
  return own + Math.max(...known.map(({ sharedBytes }) => sharedBytes));
}

/** The processes that a process has started: proc_pid_stat(5). The second field is a name in brackets, which may have blanks. */
function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
    } catch {
      return false;
    }
  });
}

const failed = (message: string): ServingError => new ServingError('MODEL_FAILED', message);
