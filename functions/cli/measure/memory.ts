import { readFileSync } from 'node:fs';

/** The memory of a process, in bytes. */
export interface ProcessMemory {
  /** Memory of its own, which no other process shares: the server's own measure of an engine. */
  readonly privateBytes: number;
  /** Resident pages of files: programs, and weights that are mapped. Processes that map the same files share them. */
  readonly sharedBytes: number;
  /** The most that both together have been since the process started. */
  readonly peakBytes: number;
}

/**
 * Reads the memory of a process: proc_pid_status(5).
 * @returns undefined if there is no /proc, or the process has ended
 */
export function readMemory(pid: number, proc = '/proc'): ProcessMemory | undefined {
  let status: string;
  try {
    status = readFileSync(`${proc}/${pid}/status`, 'latin1');
  } catch {
    return undefined;
  }
  const bytesOf = (name: string): number | undefined => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  };
  const privateBytes = bytesOf('RssAnon');
  if (privateBytes === undefined) return undefined;
  const sharedBytes = (bytesOf('RssFile') ?? 0) + (bytesOf('RssShmem') ?? 0);
  return { privateBytes, sharedBytes, peakBytes: bytesOf('VmHWM') ?? privateBytes + sharedBytes };
}
