/*
 * The path of a request's rows. N: rows of the request, B: rows of the run, [N, …]: a shape whose further dimensions are the
 * signature's. The owner of memory may keep or change it.
 *
 *   bytes     the body of the request                                  owned by the route
 *   features  JSON values, or binary tensors                           owned by the route
 *   feeds     a tensor for each input, [N, …] of the input's dtype     owned by the request; read only from here on
 *   batch     slices of the feeds of several requests, B rows in all   views of the feeds; nothing is copied
 *   frame     all inputs [B, …] as little-endian bytes                 small tensors copied, large ones are the feeds' memory
 *   session   the inputs as typed arrays [B, …]                        views of the frame in the engine process
 *   rows      a tensor for each output, [B, …]                         views of the result's frame, shared by its requests
 *   response  the N rows of the request, as its dialect writes them    owned by the route
 *
 * For a model whose rows are not joined, N and B are 1, and tensors have the shapes that the caller gave.
 */
import type { ServingError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Admission,
  type AdmissionOptions,
  type Cancellation,
  createAdmission,
  type QueueEntry,
} from './admission.ts';
import {
  type Feeds,
  findMisfit,
  halve,
  joinRows,
  keyOf,
  MAX_BATCH_BYTES,
  rowBytes,
  rowsInRun,
  type Span,
  servingErrorOf,
} from './batch-rows.ts';
import { RunError } from './process/engine-process.ts';
import type { JoinedTensor } from './process/frame.ts';

export type { AdmissionOptions, Cancellation };

/** What executes the runs of a batcher: the pool of engine processes. */
export interface Runner {
  /** Engines that could start a run now. */
  free(): number;
  /**
   * @param inputs a tensor for each input, in the order of the signature.
   * @returns a tensor for each output, in the order of the signature.
   * @throws RunError
   */
  run(inputs: readonly JoinedTensor[]): Promise<Tensor[]>;
  /** @param listener called whenever an engine becomes free. */
  onFree(listener: () => void): void;
  /** @param listener called whenever an engine has ended and none works. `BatcherOptions.fault` says what that means for rows. */
  onFault(listener: () => void): void;
}

/** The limits of a batcher, and the functions that it calls for metrics. */
export interface BatcherOptions {
  /** Whether rows of different requests may share a run. If not, a request's tensors are not split either. */
  readonly join: boolean;
  /** The most rows of a run. */
  readonly maxBatchSize: number;
  /** The most bytes of the rows of a joined run. Default: {@link MAX_BATCH_BYTES}. A run has at least one row. */
  readonly maxBatchBytes?: number;
  /** Milliseconds that the first row of a run waits for others. 0: it runs as soon as an engine is free. */
  readonly delayMs: number;
  /** Rows that the queue holds. An empty queue accepts a request of any size. */
  readonly maxQueueSize: number;
  /** @returns the error to reject queued rows with, because the engines keep ending; undefined if an engine will run them. */
  readonly fault?: () => ServingError | undefined;
  /**
   * Called once, when an output of a run has not as many rows as the inputs: from then on every row runs alone.
   * @param misfit text that names the output and its shape.
   */
  readonly onMisfit?: (misfit: string) => void;
  /** Called after each successful run. */
  readonly onRun?: (rows: number, seconds: number) => void;
  /** Called when a run takes the first rows of an entry. @param seconds that they were in the queue. */
  readonly onWait?: (seconds: number) => void;
  /** Called when all rows of an entry have an outcome. @param seconds since they entered the queue. */
  readonly onSettled?: (outcomes: readonly Outcome[], seconds: number) => void;
}

/** `first` of an outcome whose outputs have not one row for each input row: all their rows belong to the one row that ran. */
export const ALL_ROWS = -1;

/**
 * The outcome of `rows` consecutive rows of a request. Either their outputs, a tensor for each output in the order of the
 * signature; row `first` of each tensor belongs to the first of them (or {@link ALL_ROWS}). Or the error of each of them.
 */
export type Outcome =
  | { readonly rows: number; readonly outputs: readonly Tensor[]; readonly first: number }
  | { readonly rows: number; readonly error: ServingError };

/** The queue of one generation, and the runs made of it. */
export interface Batcher {
  /**
   * Queues rows, and settles when each has run or failed.
   * @param cancellation one object for all chunks of a request.
   * @param options for a chunk of a stream or of a long request. Chunks that wait hold memory: pass a few at a time.
   * @returns outcomes of all rows, in the order of the rows. Outputs are views of memory that other requests read as well.
   * @throws ServingError `OVERLOADED` if the queue is full, before anything is queued; `CLIENT_GONE` if the request is cancelled
   * before all its rows are in a run; `options.fault` if the engines keep ending.
   */
  predict(feeds: Feeds, cancellation: Cancellation, options?: AdmissionOptions): Promise<readonly Outcome[]>;
  /** Rows in the queue. */
  depth(): number;
}

/** Rows of one call of `predict`. */
interface Entry extends QueueEntry {
  /** The result of `keyOf`; '' if rows are not joined. */
  readonly key: string;
  /** Bytes of each row of the feeds. */
  readonly bytesPerRow: number;
  readonly outcomes: { readonly at: number; readonly outcome: Outcome }[];
  /** Rows with an outcome so far. */
  settled: number;
  resolve(outcomes: readonly Outcome[]): void;
}

/** Consecutive rows of one entry in one run. */
interface BatchSlice extends Span {
  readonly entry: Entry;
  /** Second and last attempt: the process of the first run died, and each row now runs alone. */
  readonly isLastAttempt: boolean;
}

type Batch = readonly BatchSlice[];

const SHORT_REQUEST: AdmissionOptions = {};
/** How often cancelled requests are removed while no engine is free: they hold memory, and a run may take a minute. */
const SWEEP_MS = 1000;

/**
 * Queues the rows of requests and runs them on engines as these become free, joined with rows of other requests if
 * `options.join` is set.
 * @param runner used by this batcher alone, because it takes a free engine at once.
 */
export function createBatcher(runner: Runner, options: BatcherOptions): Batcher {
  const admission = createAdmission<Entry>(options.maxQueueSize);
  const former = createBatchFormer(admission, options, dispatch);
  let isScheduled = false;
  const settle = createSettle(options.onSettled);
  // Forming a run removes cancelled rows too, but while no engine is free none is formed.
  const sweepLater = createSweep(() => {
    former.removeCancelled();
    dispatch();
  });

  // One turn of the event loop delivers many requests: dispatching at its end joins them without a delay.
  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(dispatch);
  }

  function dispatch(): void {
    isScheduled = false;
    while (runner.free() > 0) {
      const batch = former.next();
      if (batch.length === 0) return;
      void run(batch);
    }
    if (former.isEmpty()) return;
    const fault = options.fault?.();
    if (fault === undefined) sweepLater();
    else former.rejectAll(fault);
  }
  // At once, not at the end of the turn: so the engine works while the outputs of its previous run are encoded.
  runner.onFree(dispatch);
  runner.onFault(dispatch);

  async function run(batch: Batch): Promise<void> {
    const started = performance.now();
    try {
      const outputs = await runner.run(joinRows(batch));
      const rows = rowsOf(batch);
      options.onRun?.(rows, (performance.now() - started) / 1000);
      const misfit = options.join ? findMisfit(outputs, rows) : undefined;
      if (misfit !== undefined && former.stopJoining()) options.onMisfit?.(misfit);
      if (!former.isJoining() && rows > 1) {
        // Even if this joined run fits: another one has shown that outputs need not have one row for each input row.
        former.retry(isolateRows(batch));
        schedule();
      } else if (misfit !== undefined) {
        settle(batch[0]!, { rows, outputs, first: ALL_ROWS });
      } else {
        former.learnOutputBytes(outputs, rows);
        settleAll(batch, outputs);
      }
    } catch (error) {
      recover(batch, error);
    }
  }

  function settleAll(batch: Batch, outputs: readonly Tensor[]): void {
    let first = 0;
    for (const slice of batch) {
      settle(slice, { rows: slice.rows, outputs, first });
      first += slice.rows;
    }
  }

  function recover(batch: Batch, error: unknown): void {
    const retries = retriesAfter(batch, error);
    if (retries === undefined) settle(batch[0]!, { rows: 1, error: servingErrorOf(error) });
    else former.retry(retries);
    schedule();
  }

  return {
    predict(feeds, cancellation, how = SHORT_REQUEST) {
      const refusal = admission.refuse(feeds.rows, how);
      if (refusal !== undefined) return Promise.reject(refusal);
      return new Promise((resolve, reject) => {
        const key = options.join ? keyOf(feeds) : '';
        const bytesPerRow = options.join ? rowBytes(feeds.tensors, feeds.rows) : 0;
        admission.add({
          feeds,
          cancellation,
          isBulk: how.bulk === true,
          key,
          bytesPerRow,
          outcomes: [],
          queuedAt: 0,
          taken: 0,
          settled: 0,
          resolve,
          reject,
        });
        schedule();
      });
    },
    depth: admission.depth,
  };
}

/** Creates the function that gives rows their outcome; with its last one, an entry is settled. */
function createSettle(onSettled: BatcherOptions['onSettled']): (slice: BatchSlice, outcome: Outcome) => void {
  return ({ entry, first, rows }, outcome) => {
    entry.outcomes.push({ at: first, outcome });
    entry.settled += rows;
    if (entry.settled < entry.feeds.rows) return;
    if (entry.outcomes.length > 1) entry.outcomes.sort((a, b) => a.at - b.at);
    const outcomes = entry.outcomes.map((settled) => settled.outcome);
    onSettled?.(outcomes, (performance.now() - entry.queuedAt) / 1000);
    entry.resolve(outcomes);
  };
}

/** Creates a function that calls `sweep` after {@link SWEEP_MS}, once for all calls until then. */
function createSweep(sweep: () => void): () => void {
  let isTimerSet = false;
  return () => {
    if (isTimerSet) return;
    isTimerSet = true;
    setTimeout(() => {
      isTimerSet = false;
      sweep();
    }, SWEEP_MS).unref();
  };
}

/** Decides which rows go into the next run. */
interface BatchFormer {
  /** The rows of the next run; empty if there is nothing to run now. */
  next(): Batch;
  /** Puts these batches, in their order, in front of the queue. */
  retry(batches: readonly Batch[]): void;
  /** Whether no row is queued, waits for room, or is to run once more. */
  isEmpty(): boolean;
  /** Rejects all cancelled rows. */
  removeCancelled(): void;
  /** Rejects all rows that are not in a run. */
  rejectAll(error: ServingError): void;
  /** From now on every row runs alone. @returns whether rows were joined until now. */
  stopJoining(): boolean;
  isJoining(): boolean;
  /** Bounds the next runs by the bytes of these outputs, which may be more than those of the inputs. */
  learnOutputBytes(outputs: readonly Tensor[], rows: number): void;
}

/** @param onDelayOver called when a row has waited for `delayMs`. */
function createBatchFormer(
  admission: Admission<Entry>,
  { join, maxBatchSize, maxBatchBytes = MAX_BATCH_BYTES, delayMs, onWait }: BatcherOptions,
  onDelayOver: () => void,
): BatchFormer {
  const { queue } = admission;
  /** Parts of failed runs. Each is a run of its own, and runs before the queue. */
  const retries: Batch[] = [];
  let isJoining = join;
  const hasWaited = createDelay(delayMs, onDelayOver);
  /** Average bytes of a row of the outputs of the last joined run. */
  let outputBytes = 1;

  function nextRetry(): Batch | undefined {
    for (let retry = retries.shift(); retry !== undefined; retry = retries.shift()) {
      const wanted = dropCancelled(retry, admission);
      if (isJoining && wanted.length > 0) return wanted;
      const [first, ...others] = isolateRows(wanted);
      retries.unshift(...others);
      if (first !== undefined) return first;
    }
    return undefined;
  }

  function nextQueued(): Batch {
    while (queue.length > 0 && admission.dropIfCancelled(queue[0]!)) queue.shift();
    admission.admitWaiting();
    const head = queue[0];
    if (head === undefined || isDelayed(head)) return [];
    const batch = isJoining ? takeJoined(head) : [takeOne(head)];
    admission.admitWaiting();
    return batch;
  }

  function isDelayed(head: Entry): boolean {
    if (delayMs === 0 || !isJoining) return false;
    const maxRows = rowsInRun(Math.max(head.bytesPerRow, outputBytes), maxBatchSize, maxBatchBytes);
    return admission.depth() < maxRows && !hasWaited(head.queuedAt);
  }

  function takeOne(head: Entry): BatchSlice {
    const slice = take(head, 1, performance.now());
    if (head.taken === head.feeds.rows) queue.shift();
    return slice;
  }

  /** Rows of the head and of later entries of the same key, within the limits of rows and bytes. */
  function takeJoined(head: Entry): Batch {
    const now = performance.now();
    const batch: BatchSlice[] = [];
    let rowsLeft = maxBatchSize;
    let bytesLeft = maxBatchBytes;
    let skipped = 0;
    let i = 0;
    for (; i < queue.length && rowsLeft > 0; i++) {
      const entry = queue[i]!;
      if (entry.key !== head.key) queue[skipped++] = entry;
      else if (!admission.dropIfCancelled(entry)) {
        const bytes = Math.max(entry.bytesPerRow, outputBytes);
        if (batch.length > 0 && bytes > bytesLeft) break;
        const rows = Math.min(rowsInRun(bytes, rowsLeft, bytesLeft), entry.feeds.rows - entry.taken);
        batch.push(take(entry, rows, now));
        rowsLeft -= rows;
        bytesLeft -= rows * bytes;
        if (entry.taken < entry.feeds.rows) queue[skipped++] = entry;
      }
    }
    queue.splice(skipped, i - skipped);
    return batch;
  }

  function take(entry: Entry, rows: number, now: number): BatchSlice {
    if (entry.taken === 0) onWait?.((now - entry.queuedAt) / 1000);
    return { entry, feeds: entry.feeds, first: admission.take(entry, rows), rows, isLastAttempt: false };
  }

  return {
    next: () => nextRetry() ?? nextQueued(),
    retry: (batches) => void retries.push(...batches),
    isEmpty: () => retries.length === 0 && admission.isEmpty(),
    removeCancelled() {
      const wanted = retries.splice(0).map((retry) => dropCancelled(retry, admission));
      retries.push(...wanted.filter(({ length }) => length > 0));
      admission.removeCancelled();
    },
    rejectAll(error) {
      for (const { entry } of retries.splice(0).flat()) admission.reject(entry, error);
      admission.rejectAll(error);
    },
    stopJoining() {
      const joined = isJoining;
      isJoining = false;
      return joined;
    },
    isJoining: () => isJoining,
    learnOutputBytes(outputs, rows) {
      if (isJoining) outputBytes = rowBytes(outputs, rows);
    },
  };
}

/**
 * Creates a check whether `delayMs` have passed since a time of `performance.now()`.
 * @param onOver called when they have passed, if the check has returned false before.
 */
function createDelay(delayMs: number, onOver: () => void): (since: number) => boolean {
  let isTimerSet = false;
  return (since) => {
    const remainingMs = since + delayMs - performance.now();
    if (remainingMs <= 0) return true;
    if (!isTimerSet) {
      isTimerSet = true;
      setTimeout(() => {
        isTimerSet = false;
        onOver();
      }, Math.ceil(remainingMs));
    }
    return false;
  };
}

/**
 * The runs to try after a failed one, so that only the rows that caused the failure fail. A batch with an error is halved until
 * each row is alone. The rows of a batch that ended its process run once more, each alone: the row at fault costs two processes.
 * A row that was alone from the start costs one; or two if the process was killed from outside, since the row need not be the
 * cause then.
 * @returns undefined if the batch is one row, and that row is the cause.
 */
function retriesAfter(batch: Batch, error: unknown): Batch[] | undefined {
  const fault = error instanceof RunError ? error.fault : 'failed';
  const onlyRow = batch.length === 1 && batch[0]!.rows === 1 ? batch[0] : undefined;
  if (fault === 'failed') return onlyRow === undefined ? halve(batch) : undefined;
  const isCause = fault === 'timed-out' || (error instanceof RunError && error.ofItself);
  if (onlyRow !== undefined && (onlyRow.isLastAttempt || isCause)) return undefined;
  return isolateRows(batch.map((slice) => ({ ...slice, isLastAttempt: true })));
}

/** Each row as a batch of its own. */
function isolateRows(batch: Batch): Batch[] {
  return batch.flatMap((slice) =>
    Array.from({ length: slice.rows }, (_, row) => [{ ...slice, first: slice.first + row, rows: 1 }]),
  );
}

function dropCancelled(batch: Batch, admission: Admission<Entry>): Batch {
  return batch.filter(({ entry }) => !admission.dropIfCancelled(entry));
}

function rowsOf(batch: Batch): number {
  return batch.reduce((sum, { rows }) => sum + rows, 0);
}
