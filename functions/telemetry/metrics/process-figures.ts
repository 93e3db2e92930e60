import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The CPU time and memory of a process. */
export interface ProcessFigures {
  /** User and system time since the process started. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** Linux reports times to user space in hundredths of a second on every architecture (USER_HZ). */
const TICKS_PER_SECOND = 100;

/**
 * Reads a process's figures from /proc. The kernel creates both files from memory in some 30 µs; reading them asynchronously would
 * take three times as long in this thread.
 * @returns undefined if there is no /proc, or the process has ended.
 */
export function readProcess(pid: number, proc = '/proc'): ProcessFigures | undefined {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, 'latin1');
    const status = readFileSync(`${proc}/${pid}/status`, 'latin1');
    // proc_pid_stat(5): utime and stime are fields 14 and 15. Field 2, in parentheses, may hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    // Not statm, which counts pages: Node has no function for their size.
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes === undefined || Number.isNaN(ticks)) return undefined;
    return { cpuSeconds: ticks / TICKS_PER_SECOND, residentBytes: Number(kibibytes) * 1024 };
  } catch {
    return undefined;
  }
}

/** The quantiles of the event loop's delay: their label, and their percentage. */
export const QUANTILES = { p50: 50, p90: 90, p99: 99, max: 100 } as const;
/** The label of one of {@link QUANTILES}. */
export type Quantile = keyof typeof QUANTILES;

const RESOLUTION_MS = 20;
const WINDOW_MS = 15_000;

/**
 * Watches the event loop with a timer every 20 ms, which does not keep the process alive. `read` returns the delays,
 * in seconds, since the window began, and begins a new window if it is 15 s old: a second reader within that time, such as a person
 * next to the scraper, gets the values of the same window.
 */
export function watchEventLoop(monitor = monitorEventLoopDelay): {
  read: () => Record<Quantile, number>;
  stop: () => void;
} {
  const delays = monitor({ resolution: RESOLUTION_MS });
  delays.enable();
  let since = performance.now();

  function read(): Record<Quantile, number> {
    const figures = {} as Record<Quantile, number>;
    for (const [name, percent] of Object.entries(QUANTILES)) {
      const ns = percent === 100 ? delays.max : delays.percentile(percent);
      // The interval itself is part of each value; without any, `percentile` gives a meaningless small number.
      figures[name as Quantile] = Math.max(0, ns / 1e9 - RESOLUTION_MS / 1e3);
    }
    if (performance.now() - since >= WINDOW_MS) {
      delays.reset();
      since = performance.now();
    }
    return figures;
  }

  return { read, stop: () => delays.disable() };
}
