import { ServingError } from '../../errors.ts';
import { createOverload } from './overload.ts';
import { createRetrySchedule } from './retry-schedule.ts';
import { priorityOf, type QueueEntry, RowQueue } from './row-queue.ts';
import { createRunTimes } from './run-times.ts';
import type { RequestTerms } from './terms.ts';

/** How rows enter the queue. */
export interface AdmissionOptions {
  /** Whether the rows are a chunk of a stream or of a long request. Default: false. */
  readonly bulk?: boolean;
  /** Whether the request has begun: its further rows are not refused. The caller bounds how many it queues. Default: false. */
  readonly begun?: boolean;
}

/** An entry that can be rejected. */
export interface AdmittedEntry extends QueueEntry {
  reject(error: ServingError): void;
}

interface LimitOptions {
  /** Rows of short requests that the queue holds. An empty queue accepts any number. */
  readonly maxQueueSize: number;
  /** The most rows of a run; 1 if rows are not joined. */
  readonly maxRunRows: number;
  /** How many engines work. */
  readonly engines: () => number;
  /** A monotonic clock in milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
}

/** The queue of rows in front of the engines, and the decision which rows may enter it. */
export interface Admission<E extends AdmittedEntry> {
  /** Rows in the queue. */
  depth(): number;
  isEmpty(): boolean;
  /**
   * Decides whether rows may be queued, before an entry is made for them, or before the body that has them is read.
   * @returns `OVERLOADED`, with the time at which they are expected to be accepted, or undefined if `add` takes them.
   */
  refuse(rows: number, terms: RequestTerms, options: AdmissionOptions): ServingError | undefined;
  /** Queues rows that were not refused. */
  add(entry: E): void;
  /** The entry whose rows begin the next run. Cancelled and late entries before it are rejected. */
  first(): E | undefined;
  /** Begins a run with the entry that `first` has returned. */
  begin(entry: E): void;
  /** The next entry of this key for the run that has begun, without cancelled and late ones. */
  next(key: string): E | undefined;
  /** Takes rows of an entry for a run. @returns the index of the first of them. */
  take(entry: E, rows: number): number;
  /** Rejects a cancelled entry of a failed run with `CLIENT_GONE`. @returns whether it was cancelled. */
  dropIfCancelled(entry: E): boolean;
  /** Records a run that has ended. */
  ran(rows: number, ms: number): void;
  /** Records that rows of a request have their outcome. */
  settled(entry: E): void;
  /** Rejects all cancelled and late entries. Forming a run does so too, but while no engine is free they would stay. */
  sweep(): void;
  /** Rejects all entries. */
  rejectAll(error: ServingError): void;
  /** Rejects an entry: its rows that are not in a run yet are not run. */
  reject(entry: E, error: ServingError): void;
}

/** How many long requests may be queued before a further one is refused: each holds the memory of its chunks. */
const MAX_BULK_REQUESTS = 64;
/** The part of the time until the deadline that the predicted wait may take: the rest is for what the prediction misses. */
const WAIT_SHARE = 0.9;
/** A refusal looks for cancelled entries at most so often, so that its cost does not grow with the queue. */
const SWEEP_INTERVAL_MS = 50;
const TOO_MANY = 'more requests arrive than can be served';

/**
 * Creates an empty queue. A short request is refused at once if it is predicted to wait beyond its deadline, if the queue is full,
 * or, during an overload, if it would wait longer than the target ({@link createOverload}); when an overload begins, the requests
 * that have waited longest are refused too. Long requests take turns, and are refused during an overload, or if too many are queued.
 */
export function createAdmission<E extends AdmittedEntry>(options: LimitOptions): Admission<E> {
  const { maxQueueSize, maxRunRows, engines, now = () => performance.now() } = options;
  const queue = new RowQueue<E>();
  const runTimes = createRunTimes(maxRunRows, engines);
  const overload = createOverload(() => runTimes.runMs(1), now);
  const retries = createRetrySchedule(now);
  let sweptAt = Number.NEGATIVE_INFINITY;

  /** Why rows of a short request may not be queued now. */
  function obstacle(rows: number, terms: RequestTerms): string | undefined {
    const { shortRows } = queue;
    if (shortRows === 0) return undefined;
    if (shortRows + rows > maxQueueSize) return `the queue is full: ${shortRows} rows wait, ${maxQueueSize} at most`;
    const waitMs = runTimes.drainMs(queue.rowsBefore(terms.priority ?? 1) + rows);
    if (overload.isActive() && waitMs > overload.targetMs()) return TOO_MANY;
    const leftMs = (terms.deadline ?? Number.POSITIVE_INFINITY) - now();
    if (waitMs <= leftMs * WAIT_SHARE) return undefined;
    return `it would wait ${toSeconds(waitMs)} s, and its deadline is in ${toSeconds(Math.max(0, leftMs))} s`;
  }

  function bulkObstacle(): string | undefined {
    const requests = queue.bulkRequests;
    if (requests >= MAX_BULK_REQUESTS) return `${requests} long requests are queued, ${MAX_BULK_REQUESTS} at most`;
    return overload.isActive() ? TOO_MANY : undefined;
  }

  function overloaded(reason: string, rows: number): ServingError {
    const retryAfter = retries.reserve(runTimes.drainMs(queue.shortRows), runTimes.drainMs(rows * maxRunRows) / maxRunRows);
    return new ServingError('OVERLOADED', `overloaded: ${reason}; try again in ${retryAfter} s`, { retryAfter });
  }

  /** When an overload begins, refuses the short requests that have waited longest: the rest waits no longer than the target. */
  function observeLoad(): void {
    const wasActive = overload.isActive();
    if (!overload.update(runTimes.drainMs(queue.shortRows)) || wasActive) return;
    const entries = queue.remove(({ isBulk, taken }) => !isBulk && taken === 0);
    const newestFirst = entries.toSorted((a, b) => priorityOf(a) - priorityOf(b) || b.queuedAt - a.queuedAt);
    const kept = new Set<E>();
    let rows = queue.shortRows;
    for (const entry of newestFirst) {
      rows += entry.feeds.rows;
      if (runTimes.drainMs(rows) > overload.targetMs()) break;
      kept.add(entry);
    }
    for (const entry of entries) {
      if (kept.has(entry)) queue.add(entry);
      else refuseQueued(entry);
    }
  }

  function refuseQueued(entry: E): void {
    overload.lost(entry.feeds.rows);
    entry.reject(overloaded(TOO_MANY, entry.feeds.rows));
  }

  /** Rejects an entry that cannot be used any more; its rows are not run. @returns whether it was rejected. */
  function dropIfUseless(entry: E): boolean {
    if (dropIfCancelled(entry)) return true;
    const { deadline } = entry.terms;
    if (deadline === undefined || now() + runTimes.runMs(1) < deadline) return false;
    if (!entry.isBulk) overload.lost(entry.feeds.rows);
    reject(entry, new ServingError('DEADLINE', 'the request waited in the queue until its deadline'));
    return true;
  }

  function dropIfCancelled(entry: E): boolean {
    if (!entry.terms.cancelled) return false;
    if (!entry.isBulk && entry.taken < entry.feeds.rows) overload.left(entry.feeds.rows, now() - entry.queuedAt);
    reject(entry, new ServingError('CLIENT_GONE', 'the client left before its rows were run'));
    return true;
  }

  function reject(entry: E, error: ServingError): void {
    queue.discard(entry);
    entry.reject(error);
  }

  function sweep(): void {
    sweptAt = now();
    for (const entry of queue.entries()) dropIfUseless(entry);
    observeLoad();
  }

  /** @param entry returns the entry that is next in turn. */
  function usable(entry: () => E | undefined): E | undefined {
    for (let next = entry(); next !== undefined; next = entry()) if (!dropIfUseless(next)) return next;
    return undefined;
  }

  return {
    depth: () => queue.rows,
    isEmpty: () => queue.rows === 0,
    refuse(rows, terms, { bulk = false, begun = false }) {
      if (begun) return undefined;
      const find = (): string | undefined => (bulk ? bulkObstacle() : obstacle(rows, terms));
      let reason = find();
      if (reason !== undefined && now() - sweptAt > SWEEP_INTERVAL_MS) {
        sweep();
        reason = find();
      }
      if (reason === undefined) return undefined;
      if (!bulk) overload.lost(rows);
      observeLoad();
      return overloaded(reason, rows);
    },
    add(entry) {
      entry.queuedAt = now();
      queue.add(entry);
    },
    first: () => usable(() => queue.first()),
    begin: (entry) => queue.begin(entry),
    next: (key) => usable(() => queue.next(key)),
    take: (entry, rows) => queue.take(entry, rows),
    dropIfCancelled,
    ran(rows, ms) {
      runTimes.record(rows, ms);
      observeLoad();
    },
    settled({ isBulk, terms, feeds, queuedAt }) {
      if (isBulk) return;
      if (terms.cancelled) overload.left(feeds.rows, now() - queuedAt);
      else overload.served(feeds.rows);
    },
    sweep,
    rejectAll(error) {
      for (const entry of queue.remove(() => true)) entry.reject(error);
    },
    reject,
  };
}

const toSeconds = (ms: number): string => (ms / 1000).toFixed(1);
