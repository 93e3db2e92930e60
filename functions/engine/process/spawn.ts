/**
 * Starts engine processes. Imports nothing heavy: a host calls `prespawn` before it loads its other modules, so that the
 * engine's onnxruntime and the server's libraries load at the same time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { join } from 'node:path';
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
const OOM_SCORE = '/proc/self/oom_score_adj';
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
  `--allow-fs-write=${OOM_SCORE}`,
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

/** What a program that runs code of a model's author may take. */
export interface Sandbox {
  /** The folders that it may read, beside the files of this server. */
  readonly folders: readonly string[];
  /** The most MiB of its JavaScript objects: V8 ends the process beyond it. */
  readonly heapMiB: number;
}

/**
 * As {@link spawnProgram}, for code of a model's author: it reads no other files than those of the sandbox, for example no tokens and
 * no environment of the server, and loads no native code, which the permission model would not hold. What it prints goes to stderr:
 * stdout has the lines of the log.
 */
export function spawnSandboxed(entry: string, { folders, heapMiB }: Sandbox): ChildProcess {
  const own = fileURLToPath(new URL(source ? '../../' : './', import.meta.url));
  const flags = [
    `--max-old-space-size=${heapMiB}`,
    '--permission',
    ...[own, ...folders.map((folder) => join(folder, '/')), ...compileCache()].map((at) => `--allow-fs-read=${at}*`),
    ...['read', 'write'].map((right) => `--allow-fs-${right}=${OOM_SCORE}`),
    ...compileCache().map((folder) => `--allow-fs-write=${folder}*`),
  ];
  const child = start(flags, entry, 2);
  guardOrphan(child);
  return child;
}

/** Starts an engine process. @param entry its program, for benchmarks of a build */
export function startEngine(entry = ENTRY): ChildProcess {
  return start([...FLAGS, ...permissions()], entry, 'inherit');
}

function start(flags: readonly string[], entry: string, stdout: 'inherit' | 2): ChildProcess {
  const child = spawn(process.execPath, [...flags, entry], {
    env: engineEnvironment(process.env),
    stdio: ['ignore', stdout, 'inherit', 'pipe'],
  });
  // A process that could not start has no pid. The caller checks that, because its listeners may miss this event.
  child.on('error', () => {});
  return child;
}
