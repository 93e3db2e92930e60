import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContestantSpec } from './contestant.ts';

/** A control group with a memory limit, as a container has it. */
export interface MemoryGroup {
  /** The same server, started in the group. */
  inside(spec: ContestantSpec): ContestantSpec;
  /** The most bytes that its processes and their files in memory have taken. */
  peakBytes(): number;
  /** Removes it: its processes must have ended. */
  remove(): void;
}

/** The folder of the memory controller, and its files: cgroup v1 and v2. */
const VERSIONS = [
  { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes' },
  { root: '/sys/fs/cgroup', limit: 'memory.max', peak: 'memory.peak' },
] as const;

/** @returns undefined if this user may not make control groups */
export function makeMemoryGroup(limitBytes: number): MemoryGroup | undefined {
  for (const { root, limit, peak } of VERSIONS) {
    const folder = join(root, `onnx-cloud-run-bench-${process.pid}`);
    try {
      mkdirSync(folder);
    } catch {
      continue;
    }
    if (existsSync(join(folder, limit))) {
      writeFileSync(join(folder, limit), String(limitBytes));
      const enter = `echo $$ > ${join(folder, 'cgroup.procs')} && exec "$0" "$@"`;
      return {
        inside: (spec) => ({ ...spec, command: ['/bin/sh', '-c', enter, ...spec.command] }),
        peakBytes: () => Number(readFileSync(join(folder, peak), 'latin1')),
        remove: () => rmdirSync(folder),
      };
    }
    rmdirSync(folder);
  }
  return undefined;
}
