/** Shares the event loop between long computations and everything else. */
interface TimeSlices {
  /**
   * To be called between the steps of a long computation. All computations together get one slice in each turn of the event loop.
   * @returns undefined while this turn has time left, else a promise that the computation has to await.
   */
  wait(): Promise<void> | undefined;
}

const SLICE_MS = 5;

/**
 * Creates the time slices of an event loop.
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

/** The time slices of this process's event loop. */
export const processSlices = createTimeSlices();
