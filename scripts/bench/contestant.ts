import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { firstAnswer } from './first-answer.ts';
import { processTree } from './process-tree.ts';

/** A server to measure: the product and each baseline are one of these and nothing more. */
export interface ContestantSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface StopReport {
  readonly code: number | null;
  readonly signal: string | null;
  readonly ms: number;
}

export interface Contestant {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** From just before exec to the first 200, ms. */
  readonly startMs: number;
  /** Its process and all its descendants, now. */
  pids(): number[];
  /** Waits for the end of a process that was signalled; SIGKILL after 12 s. */
  ended(): Promise<StopReport>;
  /** SIGTERM, then `ended`. */
  stop(): Promise<StopReport>;
}

const START_BOUND_MS = 30_000;
const STOP_BOUND_MS = 12_000;
const STDERR_KEPT = 2000;
/** What a server needs of the surroundings; all else would make its settings depend on who runs the benchmark. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH'];

const living = new Set<ChildProcess>();

/** SIGKILL to every contestant that still runs, and to its children. */
export function killContestants(): void {
  for (const child of living) for (const pid of processTree(child.pid!)) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts a server with its default settings and its stdout in a pipe that is read to the end, as a container's is, and waits
 * for a 200 to `request`. Throws an Error with the end of its stderr where none comes within 30 s.
 */
export async function startContestant(spec: ContestantSpec, request: Buffer): Promise<Contestant> {
  const port = await freePort();
  const env: Record<string, string> = { NODE_ENV: 'production', ORT_DISABLE_TELEMETRY: '1' };
  for (const name of INHERITED) if (process.env[name] !== undefined) env[name] = process.env[name];
  const startedAt = performance.now();
  const child = spawn(spec.command[0], spec.command.slice(1), {
    cwd: spec.cwd,
    env: { ...env, ...spec.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  let stderr = '';
  child.stdout!.resume();
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  const bound = new AbortController();
  const timer = setTimeout(() => bound.abort(`${START_BOUND_MS / 1000} s`), START_BOUND_MS);
  const exited = new Promise<StopReport>((resolve) => {
    child.on('error', (error) => bound.abort(error.message));
    child.on('exit', (code, signal) => {
      living.delete(child);
      bound.abort(`its exit (${signal ?? code})`);
      resolve({ code, signal, ms: 0 });
    });
  });

  async function ended(): Promise<StopReport> {
    const since = performance.now();
    const tree = processTree(child.pid!);
    const killing = setTimeout(() => tree.forEach(kill), STOP_BOUND_MS);
    const report = await exited;
    clearTimeout(killing);
    const ms = performance.now() - since;
    // Children end on their own when their parent has; what is left after a moment is ours to end.
    for (let i = 0; i < 50 && tree.some(isAlive); i += 1) await sleep(20);
    tree.filter(isAlive).forEach(kill);
    return { ...report, ms };
  }

  async function stop(): Promise<StopReport> {
    child.kill('SIGTERM');
    return ended();
  }

  try {
    const answeredAt = await firstAnswer(port, request, bound.signal);
    return {
      name: spec.name,
      port,
      pid: child.pid!,
      startMs: answeredAt - startedAt,
      pids: () => processTree(child.pid!),
      ended,
      stop,
    };
  } catch (error) {
    if (child.pid !== undefined && living.has(child)) await stop();
    throw new Error(`${spec.name} did not start: ${(error as Error).message}\n${stderr.trim()}`);
  } finally {
    clearTimeout(timer);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
