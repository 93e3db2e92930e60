/** Shares the event loop between long computations and everything else. */
export interface TimeSlices {
  /**
   * To be called between the steps of a long computation. Returns undefined while this turn of the event loop has time left for
   * it, else a promise to wait for. All computations together get one slice in each turn.
   */
  wait(): Promise<void> | undefined;
}

const SLICE_MS = 5;

/**
 * @param sliceMs milliseconds of long computations in one turn.
 * @param now a clock in milliseconds.
 */
export function createTimeSlices(sliceMs = SLICE_MS, now: () => number = () => performance.now()): TimeSlices {
  const waiting: (() => void)[] = [];
  /** The time at which the slice of this turn began. */
  let since: number | undefined;

  function begin(): void {
    since = now();
    setImmediate(nextTurn);
  }

  function nextTurn(): void {
    since = undefined;
    const wake = waiting.shift();
    if (wake === undefined) return;
    begin();
    wake();
  }

  return {
    wait() {
      if (since === undefined) begin();
      else if (now() - since >= sliceMs) return new Promise((resolve) => waiting.push(resolve));
      return undefined;
    },
  };
}

/** A process has one event loop, and so one of these. */
export const processSlices = createTimeSlices();
