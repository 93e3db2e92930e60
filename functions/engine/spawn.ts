/**
 * Starts engine processes. Imports nothing heavy: a host calls `prespawn` before it loads the rest of itself, so that
 * the engine's onnxruntime and the server's libraries load side by side.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from './environment.ts';

const source = import.meta.url.endsWith('.ts');
const ENTRY = fileURLToPath(new URL(source ? './worker.ts' : './engine.js', import.meta.url));

/**
 * An engine makes little garbage and collects it where it works: a young generation of 1 MB and no helper threads take
 * 4 MB less than V8's own choices, at the same speed.
 */
const FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=0'];

let early: ChildProcess | undefined;

/** Starts the first engine process before its pool is made. It waits for a load order, and ends with this process. */
export function prespawn(): void {
  early ??= start();
}

/** An engine process, prespawned or new. `stdio[3]` is the socket to it. */
export function spawnEngine(): ChildProcess {
  const process = early ?? start();
  early = undefined;
  return process;
}

function start(): ChildProcess {
  const child = spawn(process.execPath, [...FLAGS, ENTRY], {
    env: engineEnvironment(process.env),
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  // A process that could not be started has no pid: the caller checks that, and may attach its listeners after the event.
  child.on('error', () => {});
  return child;
}
