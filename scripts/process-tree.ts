import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/<pid>/stat: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS = 100;

/** The fields of /proc/<pid>/stat from the third (state) on; undefined if the process has ended. */
function stat(pid: number | string): string[] | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets and may have blanks and brackets itself.
    return line.slice(line.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

type PidAndParent = readonly [pid: number, parent: number];

function fromProc(): PidAndParent[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid): PidAndParent[] => {
    const [state, parent] = stat(pid) ?? [];
    return state === undefined || state === 'Z' ? [] : [[Number(pid), Number(parent)]];
  });
}

function fromPs(): PidAndParent[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines.map((line) => line.trim().split(/\s+/).map(Number) as unknown as PidAndParent);
}

/** The process and all its descendants that run, parents first. */
export function processTree(root: number): number[] {
  const children = Map.groupBy(process.platform === 'linux' ? fromProc() : fromPs(), ([, parent]) => parent);
  const tree = [root];
  for (let i = 0; i < tree.length; i += 1) tree.push(...(children.get(tree[i]!) ?? []).map(([pid]) => pid));
  return tree;
}

/** Whether a process is a shell: a server on a host has one that kills its engine processes if it is killed itself. On Linux only. */
export function isShell(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim() === 'sh';
  } catch {
    return false;
  }
}

/** Whether a process runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return process.platform !== 'linux' || !['Z', undefined].includes(stat(pid)?.[0]);
}

/** Sends SIGKILL to a process, if it still runs. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

/** The CPU seconds, user and system, of these processes; 0 for those that have ended. On Linux only. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = stat(pid);
    ticks += Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0);
  }
  return ticks / TICKS;
}
