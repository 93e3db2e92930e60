import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startServer } from '../../scripts/server-process.ts';
import { until } from '../helpers/until.ts';

export const ROOT = join(import.meta.dirname, '../..');

/** A server that was started as its users start it. */
export interface Served {
  readonly port: number;
  /** SIGTERM, unless it has ended; gives its exit code, or the signal that ended it. */
  stop(): Promise<number | string | null>;
}

const READY_BOUND_MS = 60_000;

/**
 * Runs `node <args>` and waits until `/ready` answers 200.
 * @param env settings; nothing of the surroundings' own settings is passed on.
 * @throws Error with what it wrote where it ends or is not ready within a minute.
 */
export async function serve(args: readonly string[], env: Record<string, string> = {}, cwd = ROOT): Promise<Served> {
  const server = await startServer(args, env, cwd);
  const stop = async (): Promise<number | string | null> => {
    const { code, signal } = await server.stop();
    return code ?? signal;
  };
  try {
    await until(() => isReady(server.url), 'the model to be ready', READY_BOUND_MS);
  } catch (error) {
    await stop();
    throw new Error(`node ${args.join(' ')}: ${(error as Error).message}\n${server.written()}`);
  }
  return { port: server.port, stop };
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/ready`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** What a program wrote, and its exit code. It is killed after `boundMs`. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
  boundMs = 60_000,
) {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
  const child = spawn(command, args, {
    env: { PATH, HOME, ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: boundMs,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout.setEncoding('utf8').toArray(),
    child.stderr.setEncoding('utf8').toArray(),
    once(child, 'close'),
  ]);
  return { stdout: stdout.join(''), stderr: stderr.join(''), code } as Ran;
}
