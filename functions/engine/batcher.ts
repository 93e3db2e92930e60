import { ServingError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  blame,
  type Feeds,
  findMisfit,
  halve,
  joinRows,
  keyOf,
  MAX_BATCH_BYTES,
  rowBytes,
  rowsInRun,
  type Span,
} from './batch-rows.ts';
import { RunError } from './engine-process.ts';
import type { JoinedTensor } from './frame.ts';

/** What the batcher runs on: the pool of engine processes. */
export interface Runner {
  /** Engines that could start a run now. */
  free(): number;
  /** Tensors in, one an input in the order of the signature, without the optional ones left out; one an output comes back. @throws RunError */
  run(inputs: readonly JoinedTensor[]): Promise<Tensor[]>;
  onFree(listener: () => void): void;
}

export interface BatcherOptions {
  /** Whether rows of different requests may share a run. Where not, a request's tensors are never split either. */
  readonly join: boolean;
  /** Rows a run takes at most. */
  readonly maxBatchSize: number;
  /** Bytes that the rows of a joined run take at most, {@link MAX_BATCH_BYTES} unless given; one row is always taken. */
  readonly maxBatchBytes?: number;
  /** Milliseconds the first row of a run waits for company. 0: it goes as soon as an engine is free. */
  readonly delayMs: number;
  /** Rows that may wait. A request is always let into an empty queue, whatever its size. */
  readonly maxQueueSize: number;
  /** Called once: an output of a run had another number of rows than was fed, so that rows run alone from now on. */
  readonly onMisfit?: (what: string) => void;
  readonly onRun?: (rows: number, seconds: number) => void;
  readonly onWait?: (seconds: number) => void;
  readonly onSettled?: (outcomes: readonly Outcome[], seconds: number) => void;
}

/** Whether the answer is still wanted: `gone` once the client has left or its deadline has passed. */
export interface Cancellation {
  readonly gone: boolean;
}

/** `first` of an outcome whose outputs do not follow rows: all of them belong to its one row. */
export const WHOLE = -1;

/** What became of a stretch of a request's rows: rows `first` and on of some outputs, or {@link WHOLE} outputs, or an error. */
export type Outcome =
  | { readonly rows: number; readonly outputs: readonly Tensor[]; readonly first: number }
  | { readonly rows: number; readonly error: ServingError };

export interface Batcher {
  /**
   * Queues the rows of one request and settles when each has been run or has failed: stretches in the rows' order.
   * @param share of the queue that these rows may fill.
   * @throws ServingError `OVERLOADED` before anything is queued; `CLIENT_GONE` when the ticket is gone before the run.
   */
  predict(feeds: Feeds, cancellation: Cancellation, share?: number): Promise<readonly Outcome[]>;
  /** Rows that wait. */
  depth(): number;
}

interface Entry {
  readonly feeds: Feeds;
  readonly cancellation: Cancellation;
  readonly key: string;
  /** Bytes of each row. */
  readonly bytes: number;
  readonly since: number;
  readonly outcomes: { readonly at: number; readonly outcome: Outcome }[];
  /** Rows handed to runs so far. */
  taken: number;
  /** Rows with an outcome so far. */
  settled: number;
  resolve(outcomes: readonly Outcome[]): void;
  reject(error: ServingError): void;
}

/** Rows of one entry that go into one run. */
interface Share extends Span {
  readonly entry: Entry;
  /** The second and last attempt, alone in its run: the process of the first died. */
  readonly again: boolean;
}

/**
 * Queues the rows of requests and hands them to engines as they become free: request → feeds [rows, …] → joined tensors
 * [rows of several requests, …] → run → outputs [the same rows, …] → each request its own rows, as views.
 * @param runner is for this batcher alone: a free engine is taken at once.
 */
export function createBatcher(runner: Runner, options: BatcherOptions): Batcher {
  const queue: Entry[] = [];
  /** Parts of runs that failed, each a run of its own, ahead of the queue. */
  const retries: Share[][] = [];
  let waiting = 0;
  let scheduled = false;
  let armed = false;
  /** Bytes of a row of outputs, as the last joined run gave them: they may be more than those of its inputs. */
  let outputBytes = 1;
  const { maxBatchSize, maxBatchBytes = MAX_BATCH_BYTES } = options;
  let joins = options.join;

  // One turn of the event loop delivers many requests: dispatching at its end joins them at no cost in time.
  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(dispatch);
  }

  function dispatch(): void {
    scheduled = false;
    while (runner.free() > 0) {
      const batch = nextBatch();
      if (batch.length === 0) return;
      void run(batch);
    }
  }
  // At once, not at the end of the turn: the engine works while the rows it gave are being answered.
  runner.onFree(dispatch);

  function nextBatch(): Share[] {
    for (let retry = retries.shift(); retry !== undefined; retry = retries.shift()) {
      const wanted = retry.filter(({ entry }) => !dropped(entry));
      if (joins && wanted.length > 0) return wanted;
      const [first, ...others] = singles(wanted);
      retries.unshift(...others);
      if (first !== undefined) return first;
    }
    while (queue.length > 0 && dropped(queue[0]!)) queue.shift();
    const head = queue[0];
    if (head === undefined || held(head)) return [];
    return joins ? takeJoined(head) : [takeOne(head)];
  }

  function held(head: Entry): boolean {
    if (options.delayMs === 0 || !joins) return false;
    if (waiting >= rowsInRun(Math.max(head.bytes, outputBytes), maxBatchSize, maxBatchBytes)) return false;
    const left = head.since + options.delayMs - performance.now();
    if (left <= 0) return false;
    if (!armed) {
      armed = true;
      setTimeout(expire, Math.ceil(left));
    }
    return true;
  }

  function expire(): void {
    armed = false;
    dispatch();
  }

  function takeOne(head: Entry): Share {
    const share = take(head, 1, performance.now());
    if (head.taken === head.feeds.rows) queue.shift();
    return share;
  }

  function takeJoined(head: Entry): Share[] {
    const now = performance.now();
    const batch: Share[] = [];
    let room = maxBatchSize;
    let bytes = maxBatchBytes;
    let kept = 0;
    let i = 0;
    for (; i < queue.length && room > 0; i++) {
      const entry = queue[i]!;
      if (entry.key !== head.key) queue[kept++] = entry;
      else if (!dropped(entry)) {
        const each = Math.max(entry.bytes, outputBytes);
        if (batch.length > 0 && each > bytes) break;
        const share = take(entry, Math.min(rowsInRun(each, room, bytes), entry.feeds.rows - entry.taken), now);
        batch.push(share);
        room -= share.rows;
        bytes -= share.rows * each;
        if (entry.taken < entry.feeds.rows) queue[kept++] = entry;
      }
    }
    queue.splice(kept, i - kept);
    return batch;
  }

  function take(entry: Entry, rows: number, now: number): Share {
    if (entry.taken === 0) options.onWait?.((now - entry.since) / 1000);
    const first = entry.taken;
    entry.taken += rows;
    waiting -= rows;
    return { entry, feeds: entry.feeds, first, rows, again: false };
  }

  /** Rows whose owner has gone are never run. */
  function dropped(entry: Entry): boolean {
    if (!entry.cancellation.gone) return false;
    waiting -= entry.feeds.rows - entry.taken;
    entry.taken = entry.feeds.rows;
    entry.reject(new ServingError('CLIENT_GONE', 'the client left before its rows were run'));
    return true;
  }

  function isFull(rows: number, share: number): boolean {
    return waiting > 0 && waiting + rows > options.maxQueueSize * share;
  }

  /** Removes requests whose client has left. While every engine is busy no run removes them, and they would fill the queue. */
  function sweep(): void {
    let kept = 0;
    for (const entry of queue) if (!dropped(entry)) queue[kept++] = entry;
    queue.length = kept;
  }

  async function run(batch: readonly Share[]): Promise<void> {
    const started = performance.now();
    try {
      const outputs = await runner.run(joinRows(batch));
      const rows = batch.reduce((sum, share) => sum + share.rows, 0);
      options.onRun?.(rows, (performance.now() - started) / 1000);
      const misfit = options.join ? findMisfit(outputs, rows) : undefined;
      if (misfit !== undefined) stopJoining(misfit);
      if (!joins && rows > 1) {
        // A joined run that fits says nothing of rows once another has shown that they do not follow it.
        retries.push(...singles(batch));
        schedule();
        return;
      }
      if (misfit !== undefined) {
        settle(batch[0]!, { rows, outputs, first: WHOLE });
        return;
      }
      if (joins) outputBytes = rowBytes(outputs, rows);
      let first = 0;
      for (const share of batch) {
        settle(share, { rows: share.rows, outputs, first });
        first += share.rows;
      }
    } catch (error) {
      recover(batch, error);
    }
  }

  function stopJoining(misfit: string): void {
    if (!joins) return;
    joins = false;
    options.onMisfit?.(misfit);
  }

  /**
   * Finds the rows to blame for a run that failed, so that the others get their answers. A row that ends its process costs that
   * of the joined run and one more of its own; one that was alone from the start costs one, or two where the process was killed
   * from outside, as then it may not be to blame.
   */
  function recover(batch: readonly Share[], error: unknown): void {
    const fault = error instanceof RunError ? error.fault : 'failed';
    const isCertain = fault === 'timed-out' || (error instanceof RunError && error.ofItself);
    const lone = batch.length === 1 && batch[0]!.rows === 1 ? batch[0] : undefined;
    if (fault === 'failed') {
      if (lone === undefined) retries.push(...halve(batch));
      else fail(batch, error);
    } else if (lone !== undefined && (lone.again || isCertain)) {
      fail(batch, error);
    } else {
      retries.push(...singles(batch.map((share) => ({ ...share, again: true }))));
    }
    if (retries.length > 0) schedule();
  }

  /** Each row as a run of its own. */
  function singles(batch: readonly Share[]): Share[][] {
    return batch.flatMap((share) =>
      Array.from({ length: share.rows }, (_, row) => [{ ...share, first: share.first + row, rows: 1 }]),
    );
  }

  function fail(batch: readonly Share[], error: unknown): void {
    for (const share of batch) settle(share, { rows: share.rows, error: blame(error) });
  }

  function settle({ entry, first, rows }: Share, outcome: Outcome): void {
    entry.outcomes.push({ at: first, outcome });
    entry.settled += rows;
    if (entry.settled < entry.feeds.rows) return;
    if (entry.outcomes.length > 1) entry.outcomes.sort((a, b) => a.at - b.at);
    const outcomes = entry.outcomes.map((settled) => settled.outcome);
    options.onSettled?.(outcomes, (performance.now() - entry.since) / 1000);
    entry.resolve(outcomes);
  }

  return {
    predict(feeds, cancellation, share = 1) {
      if (isFull(feeds.rows, share)) sweep();
      if (isFull(feeds.rows, share)) {
        const message = `the queue is full: ${waiting} rows wait, ${options.maxQueueSize} may`;
        return Promise.reject(new ServingError('OVERLOADED', message, { retryAfter: 1 }));
      }
      return new Promise((resolve, reject) => {
        waiting += feeds.rows;
        const since = performance.now();
        const key = options.join ? keyOf(feeds) : '';
        const bytes = options.join ? rowBytes(feeds.tensors, feeds.rows) : 0;
        queue.push({ feeds, cancellation, key, bytes, since, outcomes: [], taken: 0, settled: 0, resolve, reject });
        schedule();
      });
    },
    depth: () => waiting,
  };
}
