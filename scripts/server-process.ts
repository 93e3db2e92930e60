import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVER_FLAGS } from './node-flags.ts';
import { isAlive, kill, processTree } from './process-tree.ts';

/** How a server is started. */
interface ServerCommand {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Variables in addition to those of Node and the system, which are inherited; no setting is. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How a server ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From the call of `stop` or `waitForEnd` to the end. */
  readonly ms: number;
  /** Child processes that still ran 2 s after its end, and were killed. */
  readonly left: readonly number[];
}

/** A server in a process of its own. It is killed, with its child processes, when this process exits. */
export interface ServerProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The ids of its process and of all processes below it, now. */
  pids(): number[];
  /** The lines of stdout so far. */
  readonly lines: readonly string[];
  /** The end of its stderr. */
  stderr(): string;
  /** The end of its output, stderr first. */
  written(): string;
  /** Waits for its end after a signal that others send; kills all its processes after 15 s. */
  waitForEnd(): Promise<Ended>;
  /** Sends a signal, and waits for its end. Default: SIGTERM. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** A server that listens. */
export interface ListeningServer extends ServerProcess {
  readonly port: number;
  /** Its address on the IPv4 loopback. */
  readonly url: string;
}

const ROOT = join(import.meta.dirname, '..');
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH', 'NODE_COMPILE_CACHE'];
const LISTEN_BOUND_MS = 60_000;
const STOP_BOUND_MS = 15_000;
const LEFT_BOUND_MS = 2000;
const EVERY_MS = 10;
const KEPT_CHARACTERS = 8000;
const KEPT_LINES = 20;

const FRAMEWORK = join(ROOT, 'node_modules/@google-cloud/functions-framework/build/src/main.js');
/** The arguments of node for the two hosts of this project, after a build. */
export const HOST_ARGUMENTS = {
  container: [...SERVER_FLAGS, join(ROOT, 'dist/server.js')],
  functions: [FRAMEWORK, '--target=predict', `--source=${join(ROOT, 'dist/index.js')}`],
} as const;
/** The container's server, or the functions framework with the function. */
export type HostKind = keyof typeof HOST_ARGUMENTS;

/** A module that reports the port that the system chose: a free port that is chosen before the start may be taken by another process. */
const REPORT_PORT = `data:text/javascript,${encodeURIComponent(`
  import { channel } from 'node:diagnostics_channel';
  import { writeSync } from 'node:fs';
  channel('tracing:net.server.listen:asyncEnd').subscribe(({ server }) => {
    writeSync(1, '{"listening":' + server.address().port + '}\\n');
  });
`)}`;
const REPORTED = /^\{"listening":(\d+)\}$/;

const running = new Set<() => number[]>();
process.on('exit', () => {
  for (const pids of running) pids().forEach(kill);
});

/** Starts a server, without waiting until it listens. */
export function spawnServer({ command: [program, ...args], env, cwd = ROOT }: ServerCommand): ServerProcess {
  const inherited = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
  const child = spawn(program, args, { cwd, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  return watchServer(child);
}

/** The process of a server that is not the one that was started, and how it is signalled. */
interface Inside {
  pid(): number | undefined;
  signal(signal: NodeJS.Signals): void;
}

/** Observes a server that was started with pipes for stdout and stderr. */
export function watchServer(child: ChildProcess, inside?: Inside): ServerProcess {
  const pids = (): number[] => {
    const root = inside === undefined ? child.pid : inside.pid();
    return root === undefined ? [] : processTree(root);
  };
  running.add(pids);
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_CHARACTERS);
  });
  const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
      running.delete(pids);
      resolve([code, signal]);
    };
    child.once('exit', settle);
    child.once('error', (error) => {
      stderr += error.message;
      if (child.pid === undefined) settle(null, null);
    });
  });

  async function waitForEnd(): Promise<Ended> {
    const started = performance.now();
    const tree = pids();
    const timer = setTimeout(() => tree.forEach(kill), STOP_BOUND_MS);
    const [code, signal] = await exited;
    clearTimeout(timer);
    const ms = performance.now() - started;
    // Its child processes end by themselves after it.
    for (let waited = 0; waited < LEFT_BOUND_MS && tree.some(isAlive); waited += EVERY_MS) await sleep(EVERY_MS);
    const left = tree.filter(isAlive);
    left.forEach(kill);
    return { code, signal, ms, left };
  }

  return {
    child,
    pid: child.pid ?? 0,
    pids,
    lines,
    stderr: () => stderr,
    written: () => `${stderr}${lines.slice(-KEPT_LINES).join('\n')}`,
    waitForEnd,
    stop(signal = 'SIGTERM') {
      const ended = waitForEnd();
      if (inside === undefined) child.kill(signal);
      else inside.signal(signal);
      return ended;
    },
  };
}

/**
 * Starts a server of this project on a port that the system chooses, unless `env` has another, and waits until it listens: its
 * model may still load.
 * @throws Error with its output if it ends, or does not listen within a minute
 */
export async function startServer(args: readonly string[], env: ServerCommand['env'], cwd?: string) {
  const command = [process.execPath, '--import', REPORT_PORT, ...args] as const;
  const server = spawnServer({ command, env: { PORT: '0', ...env }, ...(cwd !== undefined && { cwd }) });
  const ports = (): (string | undefined)[] => server.lines.map((line) => REPORTED.exec(line)?.[1]);
  return listening(server, () => Number(ports().findLast((port) => port !== env.ADMIN_PORT && port)) || undefined);
}

/** Waits until a server listens. @param port its port; undefined while it does not listen */
export async function listening(
  server: ServerProcess,
  port: () => number | undefined | Promise<number | undefined>,
): Promise<ListeningServer> {
  const end = performance.now() + LISTEN_BOUND_MS;
  for (;;) {
    const found = await port();
    if (found !== undefined) return { ...server, port: found, url: `http://127.0.0.1:${found}` };
    const { exitCode, signalCode } = server.child;
    const over = exitCode !== null || signalCode !== null || server.pid === 0;
    if (over || performance.now() > end) {
      await server.stop('SIGKILL');
      const how = over ? `ended with ${signalCode ?? exitCode}` : `did not listen within ${LISTEN_BOUND_MS / 1000} s`;
      throw new Error(`the server ${how}: ${server.written()}`);
    }
    await sleep(EVERY_MS);
  }
}

/** A free port, for programs that cannot report the port that the system chooses; another process may take it. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
