import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { STARTING } from './fixture.ts';

export type HostKind = 'container' | 'functions';

/** This project's server in a process of its own. */
export interface OwnServer {
  readonly url: string;
  readonly pid: number;
  /** The last that it wrote. */
  written(): string;
  /** Ends it, if it has not ended. */
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '../..');
const FRAMEWORK = join(ROOT, 'node_modules/@google-cloud/functions-framework/build/src/main.js');
const COMMANDS: Readonly<Record<HostKind, readonly string[]>> = {
  container: ['--max-semi-space-size=2', join(ROOT, 'dist/server.js')],
  functions: [FRAMEWORK, '--target=predict', `--source=${ROOT}`],
};
const STOP_MS = 10_000;

/** The limit that it is started with: one that can be gone beyond at no cost. */
export const LIMIT_BYTES = 2 ** 20;

/** Starts the production build on the fixture's models, and does not wait for it. */
export async function startOwnServer(kind: HostKind, folder: string): Promise<OwnServer> {
  const port = await freePort();
  const { PATH, HOME, TMPDIR } = process.env;
  const child = spawn(process.execPath, COMMANDS[kind], {
    cwd: ROOT,
    env: {
      PATH,
      HOME,
      TMPDIR,
      NODE_ENV: 'production',
      PORT: String(port),
      MODEL_URI: folder,
      MODEL_NAME: STARTING,
      MODEL_LOAD: 'eager',
      MAX_BODY_BYTES: String(LIMIT_BYTES),
      INFERENCE_PROCESSES: '1',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      written = (written + text).slice(-8000);
    });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    written: () => written,
    stop: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
