import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = join(import.meta.dirname, '../..');

/** A server that was started as its users start it. */
export interface Served {
  readonly port: number;
  /** SIGTERM, unless it has ended; gives its exit code, or the signal that ended it. */
  stop(): Promise<number | string>;
}

const START_BOUND_MS = 60_000;

/**
 * Runs `node <args>` on a free port, and waits until `/ready` answers 200.
 * @param env settings; nothing of the surroundings' own settings is passed on.
 * Throws an Error with what it wrote where it ends or is not ready within a minute.
 */
export async function serve(args: readonly string[], env: Record<string, string> = {}, cwd = ROOT): Promise<Served> {
  const port = await freePort();
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, args, {
    cwd,
    env: { PATH, HOME, ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      written = (written + text).slice(-4000);
    });
  }
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);

  async function stop(): Promise<number | string> {
    child.kill('SIGTERM');
    return ended;
  }

  const until = performance.now() + START_BOUND_MS;
  while (!(await isReady(port))) {
    const over = child.exitCode !== null || child.signalCode !== null;
    if (!over && performance.now() < until) await sleep(50);
    else {
      await stop();
      throw new Error(`node ${args.join(' ')} did not become ready:\n${written}`);
    }
  }
  return { port, stop };
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://localhost:${port}/ready`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
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
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(command, args, {
    env: { PATH, HOME, ...env },
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
