import { readFileSync } from 'node:fs';
import { processTree } from '../process-tree.ts';

/** 1 MB is 10^6 bytes here, the stricter reading of a bar in MB. */
const BYTES_PER_MB = 1e6;
const PSS_LINE = /^Pss:\s+(\d+) kB$/m;

/** The `Pss` of an smaps_rollup text, in MB. Throws an Error where it has none. */
export function parsePss(rollup: string): number {
  const kib = PSS_LINE.exec(rollup)?.[1];
  if (kib === undefined) throw new Error('no Pss line in smaps_rollup');
  return (Number(kib) * 1024) / BYTES_PER_MB;
}

/**
 * Proportional set size, MB, of a process and its descendants together: their own pages, and of every page shared with others
 * this tree's share. Linux alone. Processes that end while it looks count 0.
 */
export function treePss(root: number): number {
  let sum = 0;
  for (const pid of processTree(root)) {
    let rollup: string;
    try {
      rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    } catch {
      continue;
    }
    if (rollup.length > 0) sum += parsePss(rollup);
  }
  return sum;
}

/** True where this system tells PSS. */
export const canMeasureMemory = process.platform === 'linux';
