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
import { Admission, type AdmissionOptions } from './admission/admission.ts';
import type { Cancellation, Priority, RequestTerms } from './admission/terms.ts';
import { type Batch, type BatchSlice, createBatchFormer, type Entry, type FormerOptions } from './batch-former.ts';
import { countRows, type Feeds, findMisfit, isolateRows, joinRows, keyOf, rowBytes } from './batch-rows.ts';
import { retriesAfter } from './failed-run.ts';
import { createFatalRows, type FatalRows } from './fatal-rows.ts';
import { ALL_ROWS, type Outcome } from './outcome.ts';
import type { JoinedTensor } from './process/frame.ts';

export { type AdmissionOptions, ALL_ROWS, type Cancellation, type Outcome, type Priority, type RequestTerms };

/** What executes the runs of a batcher: the pool of engine processes. */
export interface Runner {
  /** Engines that could start a run now. */
  free(): number;
  /** Engines that are free or running. */
  working(): number;
  /**
   * @param inputs a tensor for each input, in the order of the signature.
   * @returns a tensor for each output, in the order of the signature.
   * @throws RunError
   */
  run(inputs: readonly JoinedTensor[]): Promise<Tensor[]>;
  /** The most bytes of the inputs of the next run, if it has several rows. Default: infinite. */
  mostRunBytes?(): number;
  /** @param listener called whenever an engine becomes free. */
  onFree(listener: () => void): void;
  /** @param listener called whenever an engine has ended and none works. `BatcherOptions.fault` says what that means for rows. */
  onFault(listener: () => void): void;
}

/** The limits of a batcher, and the functions that it calls for metrics. */
export interface BatcherOptions extends FormerOptions {
  /** Rows of short requests that the queue holds. An empty queue accepts a request of any size. */
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
  /** Called when all rows of an entry have an outcome. @param seconds since they entered the queue. */
  readonly onSettled?: (outcomes: readonly Outcome[], seconds: number) => void;
}

/** The queue of one generation, and the runs made of it. */
export interface Batcher {
  /**
   * Decides whether a short request could be queued now, before its body is read.
   * @returns the error that `predict` would throw for one row of it, or undefined.
   */
  refuse(terms: RequestTerms): ServingError | undefined;
  /**
   * Queues rows, and settles when each has run or failed.
   * @param terms one object for all chunks of a request.
   * @param options for a chunk of a stream or of a long request. Chunks hold memory: pass a few at a time.
   * @returns outcomes of all rows, in the order of the rows. Outputs are views of memory that other requests read as well.
   * @throws ServingError `OVERLOADED` before anything is queued, or when an overload begins; `CLIENT_GONE` if the request is
   * cancelled, and `DEADLINE` if its deadline passes, before all its rows are in a run; `options.fault` if the engines keep ending.
   */
  predict(feeds: Feeds, terms: RequestTerms, options?: AdmissionOptions): Promise<readonly Outcome[]>;
  /** Rows in the queue. */
  depth(): number;
}

const SHORT_REQUEST: AdmissionOptions = {};
/** How often cancelled requests are removed while no engine is free: they hold memory, and a run may take a minute. */
const SWEEP_MS = 1000;

/**
 * Queues the rows of requests and runs them on engines as these become free, joined with rows of other requests if
 * `options.join` is set.
 * @param runner used by this batcher alone, because it takes a free engine at once.
 */
export function createBatcher(runner: Runner, options: BatcherOptions): Batcher {
  const admission = new Admission<Entry>({
    maxQueueSize: options.maxQueueSize,
    maxRunRows: options.join ? options.maxBatchSize : 1,
    engines: runner.working,
  });
  const mostInputBytes = (): number => runner.mostRunBytes?.() ?? Number.POSITIVE_INFINITY;
  const former = createBatchFormer(admission, { ...options, mostInputBytes }, dispatch);
  let isScheduled = false;
  const fatalRows = createFatalRows();
  const settle = createSettle((entry) => admission.settled(entry), options.onSettled);
  // Forming a run removes cancelled rows too, but while no engine is free none is formed.
  const sweepLater = createSweep(() => {
    former.sweep();
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
      const runnable = fatalRows.isEmpty() ? batch : refuseFatal(batch, fatalRows, settle);
      if (runnable.length > 0) void run(runnable);
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
      const rows = countRows(batch);
      const ms = performance.now() - started;
      admission.ran(rows, ms);
      options.onRun?.(rows, ms / 1000);
      const misfit = options.join ? findMisfit(outputs, rows) : undefined;
      if (misfit !== undefined && former.stopJoining()) options.onMisfit?.(misfit);
      if (!former.isJoining() && rows > 1) {
        // Even if this joined run fits: another one has shown that outputs need not have one row for each input row.
        former.retry(isolateRows(batch));
        schedule();
      } else if (misfit !== undefined) {
        settle(batch[0]!, { rows, outputs, first: ALL_ROWS });
      } else {
        former.learnOutputBytes(batch[0]!.entry, outputs, rows);
        settleAll(batch, outputs, settle);
      }
    } catch (error) {
      recover(batch, error);
    }
  }

  function recover(batch: Batch, error: unknown): void {
    const retries = retriesAfter(batch, error);
    if (retries !== undefined) former.retry(retries);
    else settle(batch[0]!, { rows: 1, error: fatalRows.record(batch[0]!, error) });
    schedule();
  }

  return {
    refuse: (terms) => admission.refuse(1, terms, SHORT_REQUEST),
    predict(feeds, terms, how = SHORT_REQUEST) {
      const refusal = admission.refuse(feeds.rows, terms, how);
      if (refusal !== undefined) return Promise.reject(refusal);
      return new Promise((resolve, reject) => {
        const key = options.join ? keyOf(feeds) : '';
        const bytesPerRow = options.join ? rowBytes(feeds.tensors, feeds.rows) : 0;
        admission.add({
          feeds,
          terms,
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
    depth: () => admission.depth,
  };
}

/** Settles the rows that have ended their engine process before. @returns the others. */
function refuseFatal(batch: Batch, fatalRows: FatalRows, settle: Settle): Batch {
  const isolated = isolateRows(batch).flat();
  const errors = isolated.map(fatalRows.find);
  if (errors.every((error) => error === undefined)) return batch;
  for (const [i, error] of errors.entries()) if (error !== undefined) settle(isolated[i]!, { rows: 1, error });
  return isolated.filter((_, i) => errors[i] === undefined);
}

/** Gives the rows of a batch their outputs. */
function settleAll(batch: Batch, outputs: readonly Tensor[], settle: Settle): void {
  let first = 0;
  for (const slice of batch) {
    settle(slice, { rows: slice.rows, outputs, first });
    first += slice.rows;
  }
}

type Settle = (slice: BatchSlice, outcome: Outcome) => void;

/** Creates the function that gives rows their outcome; with its last one, an entry is settled. */
function createSettle(onEntry: (entry: Entry) => void, onSettled: BatcherOptions['onSettled']): Settle {
  return ({ entry, first, rows }, outcome) => {
    entry.outcomes.push({ at: first, outcome });
    entry.settled += rows;
    if (entry.settled < entry.feeds.rows) return;
    if (entry.outcomes.length > 1) entry.outcomes.sort((a, b) => a.at - b.at);
    const outcomes = entry.outcomes.map((settled) => settled.outcome);
    onEntry(entry);
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
