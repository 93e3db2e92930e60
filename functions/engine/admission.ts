import { ServingError } from '../errors.ts';
import type { Feeds } from './batch-rows.ts';

/** The state of a request: `cancelled` once its client has closed the connection or its deadline has passed. */
export interface Cancellation {
  readonly cancelled: boolean;
}

/** How rows enter the queue. */
export interface AdmissionOptions {
  /** Whether the rows are a chunk of a stream or of a long request, which may fill half of the queue only. Default: false. */
  readonly bulk?: boolean;
  /**
   * What happens if the queue has no room: the rows wait for their turn, or are refused with `OVERLOADED`. With `refuse`, bulk rows
   * also wait if only other bulk work is in their way, unless too many requests wait. Default: `refuse`.
   */
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
  /** Rejects all cancelled entries with `CLIENT_GONE`. */
  removeCancelled(): void;
  /** Rejects an entry: its rows that are not in a run yet are not run. */
  reject(entry: E, error: ServingError): void;
  /** Rejects all entries. */
  rejectAll(error: ServingError): void;
  /** Whether nothing is in the queue or waits for room in it. */
  isEmpty(): boolean;
}

/** The part of the queue that bulk work may fill: short requests always find a place in the rest. */
const BULK_FRACTION = 0.5;
/**
 * How many requests may wait for room in the queue before a long request is refused. Between two of its chunks run one of each
 * other request: behind 64 others that is 16,384 rows, after which most would miss their deadline.
 */
const MAX_WAITING_REQUESTS = 64;

/**
 * Creates an empty queue. Short requests enter it as they arrive, and are refused if it is full. Bulk work fills at most half of
 * it. Chunks that find no room wait outside of the queue, if their options allow it, and enter in turn: one chunk of each request,
 * in the order in which the requests began to wait, then the next chunk of each. So at most one chunk of each other request
 * overtakes a request that waits. The caller bounds how many chunks of a request wait. A request is identified by its
 * {@link Cancellation}, one for all its chunks. The first chunk of a long request waits in turn as well, so that a stream, which
 * always has a chunk waiting, does not starve it. It is refused if {@link MAX_WAITING_REQUESTS} requests wait, or if none waits
 * and the short requests in the queue alone leave no room for it.
 * @param maxQueueSize rows that the queue holds. An empty queue accepts any number of rows.
 */
export function createAdmission<E extends QueueEntry>(maxQueueSize: number): Admission<E> {
  const queue: E[] = [];
  /** The chunks that wait for room, by request. The first request is the next to enter a chunk. */
  const waiting = new Map<Cancellation, E[]>();
  const { depth, change: changeDepth, hasRoom, hasRoomBesideShort } = createDepth(maxQueueSize);

  /** Whether rows can be queued at once: bulk work does not overtake chunks that wait. */
  function canEnter(rows: number, bulk: boolean): boolean {
    return hasRoom(rows, bulk) && !(bulk && waiting.size > 0);
  }

  /** Whether bulk work that may not enter now may wait for its turn, though it asks to be refused. */
  const canWait = (rows: number): boolean =>
    waiting.size > 0 ? waiting.size < MAX_WAITING_REQUESTS : hasRoomBesideShort(rows);
  const isAccepted = (rows: number, bulk: boolean): boolean => canEnter(rows, bulk) || (bulk && canWait(rows));

  function enqueue(entry: E): void {
    entry.queuedAt = performance.now();
    changeDepth(entry, entry.feeds.rows);
    queue.push(entry);
  }

  function wait(entry: E): void {
    const chunks = waiting.get(entry.cancellation);
    if (chunks === undefined) waiting.set(entry.cancellation, [entry]);
    else chunks.push(entry);
  }

  function admitWaiting(): void {
    for (const [cancellation, chunks] of waiting) {
      const [next] = chunks;
      if (!cancellation.cancelled && !hasRoom(next!.feeds.rows, next!.isBulk)) return;
      // A request that has more chunks is inserted again behind the others, and this loop reaches it there.
      waiting.delete(cancellation);
      if (cancellation.cancelled) for (const chunk of chunks) chunk.reject(clientGone());
      else {
        enqueue(chunks.shift()!);
        if (chunks.length > 0) waiting.set(cancellation, chunks);
      }
    }
  }

  function dropIfCancelled(entry: E): boolean {
    if (!entry.cancellation.cancelled) return false;
    reject(entry, clientGone());
    return true;
  }

  function reject(entry: E, error: ServingError): void {
    changeDepth(entry, entry.taken - entry.feeds.rows);
    entry.taken = entry.feeds.rows;
    entry.reject(error);
  }

  function rejectAll(error: ServingError): void {
    for (const entry of queue.splice(0)) reject(entry, error);
    for (const chunks of waiting.values()) for (const chunk of chunks) chunk.reject(error);
    waiting.clear();
  }

  /** Removes cancelled entries. Forming a run removes them too, but while every engine is busy they would fill the queue. */
  function removeCancelled(): void {
    let length = 0;
    for (const entry of queue) if (!dropIfCancelled(entry)) queue[length++] = entry;
    queue.length = length;
    for (const [cancellation, chunks] of waiting) {
      if (!cancellation.cancelled) continue;
      waiting.delete(cancellation);
      for (const chunk of chunks) chunk.reject(clientGone());
    }
    admitWaiting();
  }

  return {
    queue,
    depth,
    refuse(rows, { bulk = false, whenFull }) {
      if (whenFull === 'wait' || isAccepted(rows, bulk)) return undefined;
      removeCancelled();
      if (isAccepted(rows, bulk)) return undefined;
      return bulk && waiting.size > 0 ? tooManyWait(waiting.size) : queueFull(depth(), maxQueueSize, bulk);
    },
    add(entry) {
      if (canEnter(entry.feeds.rows, entry.isBulk)) enqueue(entry);
      else wait(entry);
    },
    take(entry, rows) {
      const first = entry.taken;
      entry.taken += rows;
      changeDepth(entry, -rows);
      return first;
    },
    dropIfCancelled,
    admitWaiting,
    removeCancelled,
    reject,
    rejectAll,
    isEmpty: () => queue.length === 0 && waiting.size === 0,
  };
}

/** Counts the rows in a queue, and decides whether there is room for more. */
function createDepth(maxQueueSize: number) {
  const maxBulkRows = maxQueueSize * BULK_FRACTION;
  let depth = 0;
  let shortRows = 0;
  return {
    depth: () => depth,
    change({ isBulk }: QueueEntry, rows: number): void {
      depth += rows;
      if (!isBulk) shortRows += rows;
    },
    hasRoom(rows: number, bulk: boolean): boolean {
      return depth === 0 || depth + rows <= (bulk ? maxBulkRows : maxQueueSize);
    },
    /** Whether bulk rows would have room if no other bulk work were in the queue. */
    hasRoomBesideShort(rows: number): boolean {
      return shortRows === 0 || shortRows + rows <= maxBulkRows;
    },
  };
}

function clientGone(): ServingError {
  return new ServingError('CLIENT_GONE', 'the client left before its rows were run');
}

function queueFull(depth: number, maxQueueSize: number, bulk: boolean): ServingError {
  const message = `the queue is full: ${depth} rows wait, ${maxQueueSize} at most`;
  return overloaded(bulk ? `${message}, half of them for long requests` : message);
}

function tooManyWait(requests: number): ServingError {
  return overloaded(
    `${requests} long requests and streams wait for room in the queue, ${MAX_WAITING_REQUESTS} at most`,
  );
}

const overloaded = (message: string): ServingError => new ServingError('OVERLOADED', message, { retryAfter: 1 });
