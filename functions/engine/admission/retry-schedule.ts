/** Tells refused clients when to come back, each after the ones before it. */
export interface RetrySchedule {
  /**
   * @param waitMs until the rows in the queue have run.
   * @param workMs that an engine pool needs for the refused rows.
   * @returns seconds for the `Retry-After` field, at least 1.
   */
  reserve(waitMs: number, workMs: number): number;
  /** Forgets the times that were given: clients that do not wait for theirs must not lengthen the wait of others for ever. */
  clear(): void;
}

/** The share of the capacity that is promised to those who come back: the rest serves new clients. */
const PROMISED_SHARE = 0.8;
/** Most clients do not wait longer. */
const LONGEST_SECONDS = 600;

/**
 * If all refused clients got the same time, they would all come back at once and be refused again. So each is given a time of
 * its own, as if those that were refused before it had been queued.
 */
export function createRetrySchedule(now: () => number): RetrySchedule {
  let next = 0;
  return {
    reserve(waitMs, workMs) {
      const at = now();
      const latest = at + LONGEST_SECONDS * 1000;
      next = Math.min(latest, Math.max(next, at + waitMs) + workMs / PROMISED_SHARE);
      return Math.max(1, Math.ceil((next - at) / 1000));
    },
    clear() {
      next = 0;
    },
  };
}
