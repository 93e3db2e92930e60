/**
 * Starts engine processes. Imports nothing heavy: a host calls `prespawn` before it loads its other modules, so that the
 * engine's onnxruntime and the server's libraries load at the same time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from './environment.ts';
import { localeFolders } from './locale.ts';
import { guardOrphan } from './orphan-guard.ts';

const source = import.meta.url.endsWith('.ts');
const ENTRY = fileURLToPath(new URL(source ? './worker.ts' : './engine.js', import.meta.url));
/**
 * An engine makes little garbage, and needs no helper threads to collect it: with these flags, a young generation of 1 MB and no
 * V8 threads, it takes 4 MB less than with V8's defaults, at the same speed.
 */
const FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=0'];
/**
 * Node's permission model: an engine starts no process, and writes no file but its OOM score and a locale. It costs no time at the
 * start or in a run. It does not hold native code, which onnxruntime is; models may be anywhere, so that every file may be read.
 * The warning is about the addon that an engine needs.
 * From its sources it may also write Node's compile cache: Node reads no cache that it may not write, and an engine would strip the
 * types of its files at every start, which takes twice as long as all else.
 */
export const permissions = (): string[] => [
  '--permission',
  '--allow-fs-read=*',
  '--allow-fs-write=/proc/self/oom_score_adj',
  ...[...localeFolders(), ...compileCache()].map((prefix) => `--allow-fs-write=${prefix}*`),
  '--allow-addons',
  '--disable-warning=PERM0001',
];

function compileCache(): string[] {
  const folder = source ? getCompileCacheDir() : undefined;
  return folder === undefined ? [] : [folder];
}

let prespawned: ChildProcess | undefined;

/** Starts the first engine process before its pool exists. It waits for a load order, and ends with this process. */
export function prespawn(): void {
  try {
    prespawned ??= startEngine();
  } catch {
    // There is no memory for a process: the pool tries again, and reports why.
  }
}

/** Returns the prespawned engine process, or starts one. `stdio[3]` is the socket to it. */
export function spawnEngine(): ChildProcess {
  const child = prespawned ?? startEngine();
  prespawned = undefined;
  guardOrphan(child);
  return child;
}

/** Starts another program that speaks the frame protocol, with the rights of an engine. `stdio[3]` is the socket to it. */
export function spawnProgram(entry: string): ChildProcess {
  const child = startEngine(entry);
  guardOrphan(child);
  return child;
}

/** Starts an engine process. @param entry its program, for benchmarks of a build */
export function startEngine(entry = ENTRY): ChildProcess {
  const child = spawn(process.execPath, [...FLAGS, ...permissions(), entry], {
    env: engineEnvironment(process.env),
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  // A process that could not start has no pid. The caller checks that, because its listeners may miss this event.
  child.on('error', () => {});
  return child;
}
