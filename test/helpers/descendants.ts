import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** All processes below `root`, parents first. */
export function descendants(root: number): number[] {
  const children = Map.groupBy(process.platform === 'linux' ? fromProc() : fromPs(), ([, parent]) => parent);
  const found: number[] = [root];
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i]!) ?? []).map(([pid]) => pid));
  return found.slice(1);
}

type PidAndParent = readonly [pid: number, parent: number];

function fromProc(): PidAndParent[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid): PidAndParent[] => {
    const [state, parent] = stat(pid);
    return state === undefined || state === 'Z' ? [] : [[Number(pid), Number(parent)]];
  });
}

/** State, parent and so on: what follows the name of the program, which may hold blanks and brackets of its own. */
function stat(pid: string): string[] {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return line.slice(line.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

function fromPs(): PidAndParent[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines.map((line) => line.trim().split(/\s+/).map(Number) as unknown as PidAndParent);
}

/** Whether a process runs: one that has ended and was not yet collected by its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return process.platform !== 'linux' || !['Z', undefined].includes(stat(String(pid))[0]);
}

/** SIGKILL, whether or not it still runs. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}
