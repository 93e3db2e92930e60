import { Worker } from 'node:worker_threads';
import type { Clock } from './clock.ts';

/** Calls after a delay, more exactly than a timer of Node: those are late by 1 to 2 ms. */
export interface Alarm {
  /** Calls once after a delay in ms, in place of the call that was set before. @returns what cancels the call */
  readonly after: Clock['after'];
  close(): void;
}

/** The entry: in the build it lies beside the file that contains this module. */
const isSource = import.meta.url.endsWith('.ts');
const ENTRY = new URL(isSource ? './alarm-thread.ts' : './loadtest-alarm-thread.js', import.meta.url);
/** Shorter delays are as long: at most 4000 calls a second take a tenth of a thread. */
const LEAST_MS = 0.25;

/** Starts an alarm: a thread that sleeps until the time of a call. Until it runs, the timers of `clock` are used. */
export function createAlarm(clock: Clock): Alarm {
  const version = new Int32Array(new SharedArrayBuffer(4));
  const waitMs = new Float64Array(new SharedArrayBuffer(8));
  const worker = new Worker(ENTRY, { workerData: [version, waitMs] });
  let isRunning = false;
  let current: (() => void) | undefined;
  worker.once('online', () => {
    isRunning = true;
  });
  worker.on('message', (of: number) => {
    if (of === version[0]) current?.();
  });

  function set(ms: number, call: (() => void) | undefined): void {
    current = call;
    waitMs[0] = ms;
    Atomics.add(version, 0, 1);
    Atomics.notify(version, 0);
  }

  return {
    after(ms, call) {
      if (!isRunning) return clock.after(ms, call);
      set(Math.max(LEAST_MS, ms), call);
      return () => {
        if (current === call) current = undefined;
      };
    },
    close: () => set(-1, undefined),
  };
}
