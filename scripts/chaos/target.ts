import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { treePss } from '../bench/memory.ts';
import { type Answer, exchange, type Sent } from '../conformance/http.ts';
import { isReady } from '../fuzz/server.ts';
import { cpuSeconds, isShell } from '../process-tree.ts';
import { HOST_ARGUMENTS, type ListeningServer, startServer } from '../server-process.ts';

/** Settings of a server beside those that all have. */
export interface TargetOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Waits until `/ready` responds with 200. Default: true. */
  readonly isReady?: boolean;
}

/** The server under test. */
export interface Target extends ListeningServer {
  /** Sends one request. @throws Error without a response within 30 s. */
  send(sent: Sent): Promise<Answer>;
  /** Its engine processes. */
  engines(): number[];
  /** Memory of all its processes, in MB. */
  memory(): number;
  /** Open file descriptors of all its processes. */
  handles(): number;
  /** CPU seconds of the serving process alone. */
  cpu(): number;
  /** The sum of the samples of a metric; 0 if it has none. */
  metric(name: string, labels?: string): Promise<number>;
  /** @throws Error if it is not ready within 60 s. */
  waitUntilReady(): Promise<void>;
}

const READY_MS = 60_000;
const EVERY_MS = 50;
const ANSWER_MS = 30_000;

/** Starts the production build with two engine processes; the log has warnings and errors. */
export async function startTarget({ env, isReady: wait = true }: TargetOptions): Promise<Target> {
  const common = { NODE_ENV: 'production', LOG_LEVEL: 'warning', INFERENCE_PROCESSES: '2', MAX_QUEUE_SIZE: '8192' };
  const target = targetOf(await startServer(HOST_ARGUMENTS.container, { ...common, ...env }));
  try {
    if (wait) await target.waitUntilReady();
  } catch (error) {
    await target.stop('SIGKILL');
    throw error;
  }
  return target;
}

function targetOf(server: ListeningServer): Target {
  const { url, pid } = server;
  const send: Target['send'] = (sent) => exchange(url, sent, sent.timeoutMs ?? ANSWER_MS);
  return {
    ...server,
    send,
    engines: () =>
      server
        .pids()
        .slice(1)
        .filter((each) => !isShell(each)),
    memory: () => treePss(pid),
    handles: () => server.pids().reduce((sum, each) => sum + openHandles(each), 0),
    cpu: () => cpuSeconds([pid]),
    async metric(name, labels = '') {
      const { text } = await send({ method: 'GET', path: '/metrics' });
      return sumOfSamples(text, name, labels);
    },
    async waitUntilReady() {
      const end = performance.now() + READY_MS;
      while (!(await isReady(url))) {
        const { exitCode, signalCode } = server.child;
        if (exitCode !== null || signalCode !== null || performance.now() > end) {
          throw new Error(`the server did not become ready:\n${server.written()}`);
        }
        await sleep(EVERY_MS);
      }
    },
  };
}

/** The sum of all samples of a metric whose labels contain `labels`. */
export function sumOfSamples(exposition: string, name: string, labels = ''): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    const rest = line.startsWith(name) ? line.slice(name.length) : '';
    if (!/^[{ ]/.test(rest) || !rest.includes(labels)) continue;
    sum += Number(rest.slice(rest.lastIndexOf(' ')));
  }
  return sum;
}

/** Open file descriptors of a process; 0 if it has ended. */
export function openHandles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
