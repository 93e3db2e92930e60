/** Shares the event loop between long work and all else. */
export interface TimeSlices {
  /**
   * To be called between the steps of long work. Undefined while this turn of the event loop has time left for such work;
   * else a promise to wait for. All long work of the process together gets one slice a turn, however many callers there are.
   */
  wait(): Promise<void> | undefined;
}

const SLICE_MS = 5;

/**
 * @param sliceMs milliseconds of long work in one turn.
 * @param now a clock in milliseconds.
 */
export function createTimeSlices(sliceMs = SLICE_MS, now: () => number = () => performance.now()): TimeSlices {
  const waiting: (() => void)[] = [];
  /** When the slice of this turn began. */
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

/** The event loop is the process's: so are its slices. */
export const processSlices = createTimeSlices();
