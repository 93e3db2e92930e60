import { ServingError } from '../errors.ts';
import type { Feeds } from './batch-rows.ts';

/** Whether the response is still wanted: `gone` once the client has left or its deadline has passed. */
export interface Cancellation {
  readonly gone: boolean;
}

/** How rows come into the queue. */
export interface AdmissionOptions {
  /** They are a chunk of a stream or of a long request, and may fill half of the queue only. Default: false. */
  readonly bulk?: boolean;
  /** Where there is no room for them they are refused with `OVERLOADED`, or wait for their turn. Default: `refuse`. */
  readonly whenFull?: 'refuse' | 'wait';
}

/** Rows that are admitted together: all of a short request, or a chunk of a long one. */
export interface QueueEntry {
  readonly feeds: Feeds;
  readonly cancellation: Cancellation;
  readonly isBulk: boolean;
  /** Rows handed to runs so far: those before it in the feeds. */
  taken: number;
  /** `performance.now()` at which the rows came into the queue. */
  queuedAt: number;
  reject(error: ServingError): void;
}

/** The queue of rows before the engines, and the decision who comes into it. */
export interface Admission<E extends QueueEntry> {
  /** Entries with rows that are not in a run yet, oldest first. The batcher removes those whose rows it has all taken. */
  readonly queue: E[];
  /** Rows in the queue. Those that wait for room in it are not counted. */
  depth(): number;
  /** Whether rows are refused, told before anything is made for them. @returns `OVERLOADED`, or undefined where `add` takes them. */
  refuse(rows: number, options: AdmissionOptions): ServingError | undefined;
  /** Queues rows that were not refused, or lets them wait for room. To be called in the same turn as `refuse`. */
  add(entry: E): void;
  /** Counts rows of an entry as handed to a run. @returns the first of them. */
  take(entry: E, rows: number): number;
  /** Rejects an entry of the queue with `CLIENT_GONE` where its response is no longer wanted; its rows are never run. */
  dropIfCancelled(entry: E): boolean;
  /** Moves rows that wait into the queue, as far as there is room. To be called whenever rows have left the queue. */
  admitWaiting(): void;
}

/** The part of the queue that bulk work may fill: short requests always find a place in the rest. */
const BULK_FRACTION = 0.5;
/** How often cancelled requests are removed while rows wait for room: they hold memory, and no engine may be free for a minute. */
const SWEEP_MS = 1000;

/**
 * Short requests are queued as they arrive and refused where the queue is full. Bulk work fills half of the queue at most. What
 * finds no room and may wait does so outside of the queue, in turn: a chunk of each request, in the order in which the requests
 * began to wait, then the next of each. So no request that waits is passed by more than one chunk of each other one. How many
 * chunks of a request wait is for its caller to bound. A request is known by its {@link Cancellation}, one for all its chunks.
 * @param maxQueueSize rows that the queue holds. Rows are always let into an empty queue, however many they are.
 */
export function createAdmission<E extends QueueEntry>(maxQueueSize: number): Admission<E> {
  const queue: E[] = [];
  /** What waits for room, by request, the request whose turn is next first. */
  const waiting = new Map<Cancellation, E[]>();
  const maxBulkRows = maxQueueSize * BULK_FRACTION;
  let depth = 0;
  let sweepTimer: NodeJS.Timeout | undefined;

  function hasRoom(rows: number, bulk: boolean): boolean {
    if (depth === 0) return true;
    return depth + rows <= (bulk ? maxBulkRows : maxQueueSize);
  }

  /** Whether rows come in at once: bulk work never passes what waits. */
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
      // A request that has more chunks comes in again behind the others, and this loop sees it there.
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

  /** While every engine is busy no run is formed that would leave them out, and they would fill the queue. */
  function removeCancelled(): void {
    let kept = 0;
    for (const entry of queue) if (!dropIfCancelled(entry)) queue[kept++] = entry;
    queue.length = kept;
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
  const message = `the queue is full: ${depth} rows wait, ${maxQueueSize} may`;
  const details = { retryAfter: 1 };
  return new ServingError('OVERLOADED', bulk ? `${message}, of long requests half as many` : message, details);
}
