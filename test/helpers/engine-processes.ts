import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Host } from './hosts.ts';

/** A host's processes that hold a model, or wait for one: not those that fetch. */
export function engineProcesses(host: Host): number[] {
  return host.engines().filter((pid) => /[\\/]engine\.js/.test(commandOf(pid)));
}

function commandOf(pid: number): string {
  try {
    return process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'latin1')
      : execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    // It has ended since it was listed.
    return '';
  }
}
