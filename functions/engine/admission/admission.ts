import { ServingError } from '../../errors.ts';
import { createOverload, type Overload } from './overload.ts';
import { createRetrySchedule, type RetrySchedule } from './retry-schedule.ts';
import { priorityOf, type QueueEntry, RowQueue } from './row-queue.ts';
import { createRunTimes, type RunTimes } from './run-times.ts';
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

/** How many long requests may be queued before a further one is refused: each holds the memory of its chunks. */
const MAX_BULK_REQUESTS = 64;
/** The part of the time until the deadline that the predicted wait may take: the rest is for what the prediction misses. */
const WAIT_SHARE = 0.9;
/** A refusal looks for cancelled entries at most so often, so that its cost does not grow with the queue. */
const SWEEP_INTERVAL_MS = 50;
const TOO_MANY = 'more requests arrive than can be served';

/**
 * The queue of rows in front of the engines, and the decision which rows may enter it. A short request is refused at once if it is
 * predicted to wait beyond its deadline, if the queue is full, or, during an overload, if it would wait longer than the target
 * ({@link createOverload}); when an overload begins, the requests that have waited longest are refused too. Long requests take
 * turns, and are refused during an overload, or if too many are queued.
 */
export class Admission<E extends AdmittedEntry> {
  readonly #queue = new RowQueue<E>();
  readonly #maxQueueSize: number;
  readonly #maxRunRows: number;
  readonly #now: () => number;
  readonly #runTimes: RunTimes;
  readonly #overload: Overload;
  readonly #retries: RetrySchedule;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor({ maxQueueSize, maxRunRows, engines, now = () => performance.now() }: LimitOptions) {
    this.#maxQueueSize = maxQueueSize;
    this.#maxRunRows = maxRunRows;
    this.#now = now;
    this.#runTimes = createRunTimes(maxRunRows, engines);
    this.#overload = createOverload(() => this.#runTimes.runMs(1), now);
    this.#retries = createRetrySchedule(now);
  }

  /** Rows in the queue. */
  get depth(): number {
    return this.#queue.rows;
  }

  /**
   * Decides whether rows may be queued, before an entry is made for them, or before the body that has them is read.
   * @returns `OVERLOADED`, with the time at which they are expected to be accepted, or undefined if `add` takes them.
   */
  refuse(
    rows: number,
    terms: RequestTerms,
    { bulk = false, begun = false }: AdmissionOptions,
  ): ServingError | undefined {
    if (begun) return undefined;
    const find = (): string | undefined => (bulk ? this.#bulkObstacle() : this.#obstacle(rows, terms));
    let reason = find();
    if (reason !== undefined && this.#now() - this.#sweptAt > SWEEP_INTERVAL_MS) {
      this.sweep();
      reason = find();
    }
    if (reason === undefined) return undefined;
    if (!bulk) this.#lose(rows, terms, this.#now());
    this.#observeLoad();
    return this.#overloaded(reason, rows);
  }

  /** Queues rows that were not refused. */
  add(entry: E): void {
    entry.queuedAt = this.#now();
    this.#queue.add(entry);
  }

  /** The entry whose rows begin the next run. Cancelled and late entries before it are rejected. */
  first(): E | undefined {
    let entry = this.#queue.first();
    while (entry !== undefined && this.#dropIfUseless(entry)) entry = this.#queue.first();
    return entry;
  }

  /** Begins a run with the entry that `first` has returned. */
  begin(entry: E): void {
    this.#queue.begin(entry);
  }

  /** The next entry of this key for the run that has begun, without cancelled and late ones. */
  next(key: string): E | undefined {
    let entry = this.#queue.next(key);
    while (entry !== undefined && this.#dropIfUseless(entry)) entry = this.#queue.next(key);
    return entry;
  }

  /** The most rows of the next run: see `RunTimes`. */
  usefulRows(): number {
    return this.#runTimes.usefulRows();
  }

  /** Takes rows of an entry for a run. @returns the index of the first of them. */
  take(entry: E, rows: number): number {
    return this.#queue.take(entry, rows);
  }

  /** Records a run that has ended. */
  ran(rows: number, ms: number): void {
    this.#runTimes.record(rows, ms);
    this.#observeLoad();
  }

  /** Records that all rows of an entry have their outcome. */
  settled({ isBulk, terms, feeds, queuedAt }: E): void {
    if (isBulk) return;
    if (terms.cancelled) this.#overload.left(feeds.rows, this.#now() - queuedAt);
    else this.#overload.served(feeds.rows);
  }

  /** Rejects all cancelled and late entries. Forming a run does so too, but while no engine is free they would stay. */
  sweep(): void {
    this.#removeUseless();
    this.#observeLoad();
  }

  #removeUseless(): void {
    this.#sweptAt = this.#now();
    const errors = new Map<E, ServingError>();
    // All at once: removing one after the other from between the rest would take quadratic time.
    const useless = this.#queue.remove((entry) => {
      const error = this.#findUseless(entry);
      if (error !== undefined) errors.set(entry, error);
      return error !== undefined;
    });
    for (const entry of useless) entry.reject(errors.get(entry)!);
  }

  /** Rejects a cancelled entry with `CLIENT_GONE`. @returns whether it was cancelled. */
  dropIfCancelled(entry: E): boolean {
    const error = this.#findCancelled(entry);
    if (error !== undefined) this.reject(entry, error);
    return error !== undefined;
  }

  /** Rejects an entry: its rows that are not in a run yet are not run. */
  reject(entry: E, error: ServingError): void {
    this.#queue.discard(entry);
    entry.reject(error);
  }

  /** Rejects all entries. */
  rejectAll(error: ServingError): void {
    for (const entry of this.#queue.remove(() => true)) entry.reject(error);
  }

  /** Counts lost rows, unless a queue as short as that of an overload could not have met their deadline either. */
  #lose(rows: number, { deadline }: RequestTerms, arrivedAt: number): void {
    const isMeetable = deadline === undefined || (deadline - arrivedAt) * WAIT_SHARE >= this.#overload.targetMs();
    if (isMeetable) this.#overload.lost(rows);
  }

  /** Why rows of a short request may not be queued now. */
  #obstacle(rows: number, terms: RequestTerms): string | undefined {
    const { shortRows } = this.#queue;
    if (shortRows === 0) return undefined;
    if (shortRows + rows > this.#maxQueueSize) {
      return `the queue is full: ${shortRows} rows wait, ${this.#maxQueueSize} at most`;
    }
    const waitMs = this.#runTimes.drainMs(this.#queue.rowsBefore(terms.priority ?? 1) + rows);
    if (this.#overload.isActive() && waitMs > this.#overload.targetMs()) return TOO_MANY;
    if (terms.deadline === undefined) return undefined;
    const leftMs = terms.deadline - this.#now();
    if (waitMs <= leftMs * WAIT_SHARE) return undefined;
    return `the request would wait ${toSeconds(waitMs)} s, and its deadline is in ${toSeconds(Math.max(0, leftMs))} s`;
  }

  #bulkObstacle(): string | undefined {
    const requests = this.#queue.bulkRequests;
    if (requests >= MAX_BULK_REQUESTS) return `${requests} long requests are queued, ${MAX_BULK_REQUESTS} at most`;
    return this.#overload.isActive() ? TOO_MANY : undefined;
  }

  #overloaded(reason: string, rows: number): ServingError {
    const workMs = this.#runTimes.drainMs(rows * this.#maxRunRows) / this.#maxRunRows;
    const retryAfter = this.#retries.reserve(this.#runTimes.drainMs(this.#queue.shortRows), workMs);
    return new ServingError('OVERLOADED', `${reason}; try again in ${retryAfter} s`, { retryAfter });
  }

  /** When an overload begins, refuses the short requests that have waited longest: the rest waits no longer than the target. */
  #observeLoad(): void {
    const queue = this.#queue;
    if (queue.shortRows === 0) this.#retries.clear();
    const wasActive = this.#overload.isActive();
    if (!this.#overload.update(this.#runTimes.drainMs(queue.shortRows)) || wasActive) return;
    this.#removeUseless();
    const isWaiting = ({ isBulk, taken }: E): boolean => !isBulk && taken === 0;
    const waiting = queue.entries().filter(isWaiting);
    waiting.sort((a, b) => priorityOf(a) - priorityOf(b) || b.queuedAt - a.queuedAt);
    let rows = waiting.reduce((sum, { feeds }) => sum - feeds.rows, queue.shortRows);
    const kept = new Set<E>();
    for (const entry of waiting) {
      rows += entry.feeds.rows;
      if (this.#runTimes.drainMs(rows) > this.#overload.targetMs()) break;
      kept.add(entry);
    }
    for (const entry of queue.remove((entry) => isWaiting(entry) && !kept.has(entry))) {
      this.#overload.lost(entry.feeds.rows);
      entry.reject(this.#overloaded(TOO_MANY, entry.feeds.rows));
    }
  }

  /** Rejects an entry that is cancelled or late. @returns whether it was. */
  #dropIfUseless(entry: E): boolean {
    const error = this.#findUseless(entry);
    if (error !== undefined) this.reject(entry, error);
    return error !== undefined;
  }

  /** The error of an entry that is cancelled, or too late to be run before its deadline: it is lost. */
  #findUseless(entry: E): ServingError | undefined {
    return this.#findCancelled(entry) ?? this.#findLate(entry);
  }

  #findCancelled({ terms, isBulk, taken, feeds, queuedAt }: E): ServingError | undefined {
    if (!terms.cancelled) return undefined;
    if (!isBulk && taken < feeds.rows) this.#overload.left(feeds.rows, this.#now() - queuedAt);
    return new ServingError('CLIENT_GONE', 'the client left before its rows were run');
  }

  #findLate({ terms, isBulk, feeds, queuedAt }: E): ServingError | undefined {
    const { deadline } = terms;
    if (deadline === undefined) return undefined;
    const now = this.#now();
    if (now < deadline) {
      // How long a run takes depends on its rows: the estimate counts only if the request has spent most of its time waiting.
      if (now + this.#runTimes.runMs(1) < deadline || now - queuedAt < deadline - now) return undefined;
      this.#runTimes.doubt();
    }
    if (!isBulk) this.#lose(feeds.rows, terms, queuedAt);
    return new ServingError('DEADLINE', 'the request waited in the queue until its deadline');
  }
}

const toSeconds = (ms: number): string => (ms / 1000).toFixed(1);
