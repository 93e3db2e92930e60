import { ServingError } from '../errors.ts';
import type { Feeds } from './batch-rows.ts';

/** The state of a request: `gone` once its client has closed the connection or its deadline has passed. */
export interface Cancellation {
  readonly gone: boolean;
}

/** How rows enter the queue. */
export interface AdmissionOptions {
  /** Whether the rows are a chunk of a stream or of a long request, which may fill half of the queue only. Default: false. */
  readonly bulk?: boolean;
  /** What happens if the queue has no room: the rows are refused with `OVERLOADED`, or wait for their turn. Default: `refuse`. */
  readonly whenFull?: 'refuse' | 'wait';
}

/** Rows that are admitted together: all of a short request, or a chunk of a long one. */
export interface QueueEntry {
  readonly feeds: Feeds;
  readonly cancellation: Cancellation;
  readonly isBulk: boolean;
  /** How many rows are in runs already: the first ones of the feeds. */
  taken: number;
  /** `performance.now()` when the rows entered the queue. */
  queuedAt: number;
  reject(error: ServingError): void;
}

/** The queue of rows in front of the engines, and the decision which rows may enter it. */
export interface Admission<E extends QueueEntry> {
  /** Entries with rows that are not in a run yet, oldest first. The batcher removes those whose rows it has all taken. */
  readonly queue: E[];
  /** Rows in the queue. Those that wait for room in it are not counted. */
  depth(): number;
  /** Checks rows before an entry is made for them. @returns `OVERLOADED`, or undefined if `add` takes them. */
  refuse(rows: number, options: AdmissionOptions): ServingError | undefined;
  /** Queues rows that were not refused, or lets them wait for room. Must be called in the same turn as `refuse`. */
  add(entry: E): void;
  /** Counts rows of an entry as taken by a run. @returns the index of the first of them. */
  take(entry: E, rows: number): number;
  /** Rejects a cancelled entry of the queue with `CLIENT_GONE`; its rows are not run. @returns whether it was cancelled. */
  dropIfCancelled(entry: E): boolean;
  /** Moves rows that wait into the queue, as far as there is room. Must be called whenever rows were taken from the queue. */
  admitWaiting(): void;
}

/** The part of the queue that bulk work may fill: short requests always find a place in the rest. */
const BULK_FRACTION = 0.5;
/** How often cancelled requests are removed while rows wait for room: they hold memory, and no engine may be free for a minute. */
const SWEEP_MS = 1000;

/**
 * Creates an empty queue. Short requests enter it as they arrive, and are refused if it is full. Bulk work fills at most half of
 * it. Chunks that find no room wait outside of the queue, if their options allow it, and enter in turn: one chunk of each request,
 * in the order in which the requests began to wait, then the next chunk of each. So at most one chunk of each other request
 * overtakes a request that waits. The caller bounds how many chunks of a request wait. A request is identified by its
 * {@link Cancellation}, one for all its chunks.
 * @param maxQueueSize rows that the queue holds. An empty queue accepts any number of rows.
 */
export function createAdmission<E extends QueueEntry>(maxQueueSize: number): Admission<E> {
  const queue: E[] = [];
  /** The chunks that wait for room, by request. The first request is the next to enter a chunk. */
  const waiting = new Map<Cancellation, E[]>();
  const maxBulkRows = maxQueueSize * BULK_FRACTION;
  let depth = 0;
  let sweepTimer: NodeJS.Timeout | undefined;

  function hasRoom(rows: number, bulk: boolean): boolean {
    if (depth === 0) return true;
    return depth + rows <= (bulk ? maxBulkRows : maxQueueSize);
  }

  /** Whether rows can be queued at once: bulk work does not overtake chunks that wait. */
  function canEnter(rows: number, bulk: boolean): boolean {
    return hasRoom(rows, bulk) && !(bulk && waiting.size > 0);
  }

  function enqueue(entry: E): void {
    entry.queuedAt = performance.now();
    depth += entry.feeds.rows;
    queue.push(entry);
  }

  function wait(entry: E): void {
    const chunks = waiting.get(entry.cancellation);
    if (chunks === undefined) waiting.set(entry.cancellation, [entry]);
    else chunks.push(entry);
    sweepTimer ??= setInterval(removeCancelled, SWEEP_MS).unref();
  }

  function admitWaiting(): void {
    if (waiting.size === 0) return;
    for (const [cancellation, chunks] of waiting) {
      const [next] = chunks;
      if (!cancellation.gone && !hasRoom(next!.feeds.rows, next!.isBulk)) return;
      // A request that has more chunks is inserted again behind the others, and this loop reaches it there.
      waiting.delete(cancellation);
      if (cancellation.gone) for (const chunk of chunks) chunk.reject(clientGone());
      else {
        enqueue(chunks.shift()!);
        if (chunks.length > 0) waiting.set(cancellation, chunks);
      }
    }
    clearInterval(sweepTimer);
    sweepTimer = undefined;
  }

  function dropIfCancelled(entry: E): boolean {
    if (!entry.cancellation.gone) return false;
    depth -= entry.feeds.rows - entry.taken;
    entry.taken = entry.feeds.rows;
    entry.reject(clientGone());
    return true;
  }

  /** Removes cancelled entries. Forming a run removes them too, but while every engine is busy they would fill the queue. */
  function removeCancelled(): void {
    let length = 0;
    for (const entry of queue) if (!dropIfCancelled(entry)) queue[length++] = entry;
    queue.length = length;
    for (const [cancellation, chunks] of waiting) {
      if (!cancellation.gone) continue;
      waiting.delete(cancellation);
      for (const chunk of chunks) chunk.reject(clientGone());
    }
    admitWaiting();
  }

  return {
    queue,
    depth: () => depth,
    refuse(rows, { bulk = false, whenFull }) {
      if (whenFull === 'wait' || canEnter(rows, bulk)) return undefined;
      removeCancelled();
      return canEnter(rows, bulk) ? undefined : overloaded(depth, maxQueueSize, bulk);
    },
    add(entry) {
      if (canEnter(entry.feeds.rows, entry.isBulk)) enqueue(entry);
      else wait(entry);
    },
    take(entry, rows) {
      const first = entry.taken;
      entry.taken += rows;
      depth -= rows;
      return first;
    },
    dropIfCancelled,
    admitWaiting,
  };
}

function clientGone(): ServingError {
  return new ServingError('CLIENT_GONE', 'the client left before its rows were run');
}

function overloaded(depth: number, maxQueueSize: number, bulk: boolean): ServingError {
  const message = `the queue is full: ${depth} rows wait, ${maxQueueSize} at most`;
  const details = { retryAfter: 1 };
  return new ServingError('OVERLOADED', bulk ? `${message}, half of them for long requests` : message, details);
}
