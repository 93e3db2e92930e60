import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Reads lines of process ids, and kills those of the last line at the end of its input. A signal that a terminal sends to all
 * processes does not end it: the server has requests to finish then.
 */
const SCRIPT = `trap '' HUP INT TERM
while read -r line; do ids=$line; done
[ -z "$ids" ] || kill -KILL $ids`;

const guarded = new Set<number>();
let shell: ChildProcess | undefined;

/**
 * Has an engine process end with this process, even if this process is killed during a native run, in which the engine notices
 * nothing: a shell, which takes 1 MB for all engines, waits for the end. Two systems need none: of a container, whose first process
 * this is, the kernel ends all processes together; on Windows libuv puts child processes into a job that ends with their parent.
 */
export function guardOrphan(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined || process.pid === 1 || process.platform === 'win32') return;
  guarded.add(pid);
  child.once('exit', () => {
    guarded.delete(pid);
    report();
  });
  report();
}

/** Tells the shell which processes to kill. Without any, it ends. */
function report(): void {
  shell ??= startShell();
  shell?.stdin?.write(`${[...guarded].join(' ')}\n`);
  if (guarded.size > 0) return;
  shell?.stdin?.end();
  shell = undefined;
}

/** A shell that does not keep this process running. Without a shell, an engine ends after its run, whose result it cannot write. */
function startShell(): ChildProcess | undefined {
  try {
    const started = spawn('/bin/sh', ['-c', SCRIPT], { env: {}, stdio: ['pipe', 'ignore', 'ignore'] });
    started.on('error', () => {}).unref();
    // Killed from outside, for example for want of memory: the next report starts another one, which gets all ids.
    started.once('exit', () => {
      if (shell === started) shell = undefined;
    });
    started.stdin.on('error', () => {});
    (started.stdin as unknown as { unref(): void }).unref();
    return started;
  } catch {
    // There is no memory for a process; the next engine tries again.
    return undefined;
  }
}
