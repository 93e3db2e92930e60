import { type Ended, freePort, spawnServer } from '../server-process.ts';
import { firstAnswer } from './first-answer.ts';

/** A server that is measured: the product, or a baseline. */
export interface ContestantSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface Contestant {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** Milliseconds from just before exec to the first 200. */
  readonly startMs: number;
  /** The ids of its process and all its descendants, now. */
  pids(): number[];
  /** Waits for the end of a process that was signalled. */
  ended(): Promise<Ended>;
  /** SIGTERM, then `ended`. */
  stop(): Promise<Ended>;
}

const START_BOUND_MS = 30_000;

/**
 * Starts a server with its default settings and its stdout in a pipe that is read to the end, as a container's is, and waits
 * for a 200 to `request`.
 * @throws Error with the end of its stderr if there is none within 30 s
 */
export async function startContestant(spec: ContestantSpec, request: Buffer): Promise<Contestant> {
  // A baseline does not report the port that the system chooses for it.
  const port = await freePort();
  const { command, cwd, env } = spec;
  const started = performance.now();
  const defaults = { NODE_ENV: 'production', ORT_DISABLE_TELEMETRY: '1' };
  const server = spawnServer({ command, cwd, env: { ...defaults, ...env, PORT: String(port) } });
  const bound = new AbortController();
  const timer = setTimeout(() => bound.abort(`${START_BOUND_MS / 1000} s`), START_BOUND_MS);
  server.child.on('error', (error) => bound.abort(error.message));
  server.child.on('exit', (code, signal) => bound.abort(`its exit (${signal ?? code})`));
  try {
    const answered = await firstAnswer(port, request, bound.signal);
    const { pid, pids, waitForEnd, stop } = server;
    return { name: spec.name, port, pid, startMs: answered - started, pids, ended: waitForEnd, stop };
  } catch (error) {
    await server.stop();
    throw new Error(`${spec.name} did not start: ${(error as Error).message}\n${server.stderr().trim()}`);
  } finally {
    clearTimeout(timer);
  }
}
