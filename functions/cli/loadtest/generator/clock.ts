/** The time of a generator; tests replace it. */
export interface Clock {
  /** Milliseconds since an arbitrary start. */
  now(): number;
  /** Calls once after a delay in ms. @returns what cancels the call */
  after(ms: number, call: () => void): () => void;
}

/** The time of the machine. A call may be late by the granularity of Node's timers, 1 to 2 ms. */
export const MACHINE_CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
