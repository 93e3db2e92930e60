import { readFileSync } from 'node:fs';
import { processTree } from '../process-tree.ts';

/** 1 MB is 10^6 bytes, the stricter interpretation of a bar in MB. */
const BYTES_PER_MB = 1e6;
const PSS_LINE = /^Pss:\s+(\d+) kB$/m;

/** The `Pss` of an smaps_rollup text, in MB. @throws Error if it has none. */
export function parsePss(rollup: string): number {
  const kib = PSS_LINE.exec(rollup)?.[1];
  if (kib === undefined) throw new Error('no Pss line in smaps_rollup');
  return (Number(kib) * 1024) / BYTES_PER_MB;
}

/**
 * The proportional set size, in MB, of a process and its descendants: their own pages, and their share of each page that others use
 * too. On Linux only. Processes that end during the measurement count 0.
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

/** Whether this system reports PSS. */
export const canMeasureMemory = process.platform === 'linux';
