/** What the queue observes, by which an overload is recognized. Counts are of rows of short requests. */
export interface Overload {
  /** Rows whose results were used. */
  served(rows: number): void;
  /** Rows that were refused, or missed their deadline in the queue. */
  lost(rows: number): void;
  /** Rows whose client left after so long: how long clients are willing to wait. */
  left(rows: number, waitedMs: number): void;
  /** Decides whether there is an overload, given the wait of the next row. @returns whether there is. */
  update(waitMs: number): boolean;
  isActive(): boolean;
  /** The longest wait that is accepted during an overload, in milliseconds. */
  targetMs(): number;
}

/** Counts halve in about 0.7 s: an overload is recognized, and its end as well, within about a second. */
const DECAY_MS = 1000;
/** An overload begins when more than this share of the rows is lost, and ends when less than `ENDS_BELOW` is. */
const BEGINS_ABOVE = 0.1;
const ENDS_BELOW = 0.05;
/** Long enough to keep every engine busy, short enough for new requests to be served within a second after an overload. */
const TARGET_MS = 500;
/** A shorter queue than so many runs would leave engines idle while clients come back. */
const TARGET_RUNS = 2;
/** The share of the time after which clients left that others may be expected to wait. */
const PATIENCE_SHARE = 0.8;
/** How long it is remembered: other clients may wait longer. */
const PATIENCE_KNOWN_MS = 60_000;
/** The weight of the latest client that left in the average of their waits. */
const LATEST = 1 / 16;

/**
 * Recognizes an overload by its effect, rows that are lost although they were queued for long, because arrivals alone do not tell
 * it: a hundred clients that wait patiently are no overload, ten that give up after a second are. For a minute
 * after one in which clients left, a wait as long as theirs is an overload at once. Then only as many rows are queued
 * as wait for `targetMs`: more would raise the wait, not the throughput, and engines would work on rows whose clients have left
 * any more (the reason for CoDel, RFC 8289).
 * @param runMs how long a run takes.
 */
export function createOverload(runMs: () => number, now: () => number): Overload {
  let served = 0;
  let lost = 0;
  let countedAt = now();
  let isActive = false;
  /** How long clients that left had waited, on average. */
  let patienceMs = Number.POSITIVE_INFINITY;
  /** A wait that clients have not awaited in the last overload, until `limitKnownUntil`. */
  let limitMs = Number.POSITIVE_INFINITY;
  let limitKnownUntil = 0;

  function decay(): void {
    const at = now();
    const factor = Math.exp((countedAt - at) / DECAY_MS);
    countedAt = at;
    served *= factor;
    lost *= factor;
  }

  const targetMs = (): number => Math.max(TARGET_RUNS * runMs(), Math.min(TARGET_MS, patienceMs / 2));

  return {
    served(rows) {
      served += rows;
    },
    lost(rows) {
      lost += rows;
    },
    left(rows, waitedMs) {
      // The shortest queue could not have served them either: one client that leaves at once makes no overload for the others.
      if (waitedMs < TARGET_RUNS * runMs()) return;
      lost += rows;
      patienceMs = Number.isFinite(patienceMs) ? patienceMs + (waitedMs - patienceMs) * LATEST : waitedMs;
    },
    update(waitMs) {
      decay();
      if (waitMs === 0) {
        // Engines that find no row can do more than is asked of them.
        served = 0;
        lost = 0;
      }
      const share = lost / (served + lost + Number.EPSILON);
      if (isActive) isActive = share > ENDS_BELOW;
      else if (share > BEGINS_ABOVE && waitMs > targetMs()) {
        isActive = true;
        limitMs = patienceMs * PATIENCE_SHARE;
        limitKnownUntil = countedAt + PATIENCE_KNOWN_MS;
      } else isActive = waitMs > limitMs && countedAt < limitKnownUntil;
      return isActive;
    },
    isActive: () => isActive,
    targetMs,
  };
}
