import type { ServingError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Admission, AdmittedEntry } from './admission/admission.ts';
import { isolateRows, rowBytes, rowsInRun, type Span } from './batch-rows.ts';
import { MOST_BATCH_BYTES } from './capacity.ts';
import type { Outcome } from './outcome.ts';
import { createOutputSizes } from './output-sizes.ts';

/** What bounds a run, and the function that is called for metrics. */
export interface FormerOptions {
  /** Whether rows of different requests may share a run. If not, a request's tensors are not split either. */
  readonly join: boolean;
  /** The most rows of a run. */
  readonly maxBatchSize: number;
  /** The most bytes of the inputs of a joined run, and of its outputs. Default: {@link MOST_BATCH_BYTES}. A run has at least one row. */
  readonly maxBatchBytes?: number;
  /** The most bytes of the inputs of the next joined run, by the memory that it takes. Default: infinite. */
  readonly mostInputBytes?: (() => number) | undefined;
  /** Bytes of outputs for one byte of inputs, of a row that has run. Default: 0, which bounds nothing before the first run. */
  readonly outputFactor?: number;
  /** Milliseconds that the first row of a run waits for others. 0: it runs as soon as an engine is free. */
  readonly delayMs: number;
  /** Called when a run takes the first rows of an entry. @param seconds that they were in the queue. */
  readonly onWait?: (seconds: number) => void;
}

/** Rows of one call of `predict`. */
export interface Entry extends AdmittedEntry {
  /** Bytes of each row of the feeds. */
  readonly bytesPerRow: number;
  readonly outcomes: { readonly at: number; readonly outcome: Outcome }[];
  /** Rows with an outcome so far. */
  settled: number;
  resolve(outcomes: readonly Outcome[]): void;
}

/** Consecutive rows of one entry in one run. */
export interface BatchSlice extends Span {
  readonly entry: Entry;
  /** Second and last attempt: the process of the first run died, and each row now runs alone. */
  readonly isLastAttempt: boolean;
}

/** The rows of one run. */
export type Batch = readonly BatchSlice[];

/** Decides which rows go into the next run. */
export interface BatchFormer {
  /** The rows of the next run; empty if there is nothing to run now. */
  next(): Batch;
  /** Puts these batches, in their order, in front of the queue. */
  retry(batches: readonly Batch[]): void;
  /** Whether no row is queued or is to run once more. */
  isEmpty(): boolean;
  /** Rejects all cancelled and late rows. */
  sweep(): void;
  /** Rejects all rows that are not in a run. */
  rejectAll(error: ServingError): void;
  /** From now on every row runs alone. @returns whether rows were joined until now. */
  stopJoining(): boolean;
  isJoining(): boolean;
  /** Bounds the next runs by the bytes of these outputs of rows like this entry's, which may be more than those of the inputs. */
  learnOutputBytes(entry: Pick<Entry, 'key' | 'bytesPerRow'>, outputs: readonly Tensor[], rows: number): void;
}

/**
 * Creates the former of the runs of one queue.
 * @param onDelayOver called when a row has waited for `delayMs`.
 */
export function createBatchFormer(
  admission: Admission<Entry>,
  options: FormerOptions,
  onDelayOver: () => void,
): BatchFormer {
  const { join, maxBatchSize, maxBatchBytes = MOST_BATCH_BYTES, delayMs, onWait } = options;
  const { mostInputBytes = () => Number.POSITIVE_INFINITY } = options;
  /** Parts of failed runs. Each is a run of its own, and runs before the queue. */
  const retries: Batch[] = [];
  let isJoining = join;
  const hasWaited = createDelay(delayMs, onDelayOver);
  const outputSizes = createOutputSizes(options.outputFactor ?? 0);

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
    const head = admission.first();
    if (head === undefined || isDelayed(head)) return [];
    admission.begin(head);
    return isJoining ? takeJoined(head) : [take(head, 1, performance.now())];
  }

  function isDelayed(head: Entry): boolean {
    if (delayMs === 0 || !isJoining) return false;
    const byBytes = rowsInRun(Math.max(head.bytesPerRow, outputBytesOf(head)), maxBatchSize, maxBatchBytes);
    const maxRows = rowsInRun(head.bytesPerRow, byBytes, mostInputBytes());
    return admission.depth < maxRows && !hasWaited(head.queuedAt);
  }

  const outputBytesOf = ({ key, bytesPerRow }: Entry): number => outputSizes.bytesPerRow(key, bytesPerRow);

  /** Rows of the head and of the entries of the same key that are next in turn, within the limits of rows and bytes. */
  function takeJoined(head: Entry): Batch {
    const now = performance.now();
    const batch: BatchSlice[] = [];
    let rowsLeft = Math.min(maxBatchSize, admission.usefulRows());
    let bytesLeft = maxBatchBytes;
    let inputBytesLeft = mostInputBytes();
    const outputBytes = outputBytesOf(head);
    let entry: Entry | undefined = head;
    while (entry !== undefined) {
      const { bytesPerRow } = entry;
      const bytes = Math.max(bytesPerRow, outputBytes);
      if (batch.length > 0 && (bytes > bytesLeft || bytesPerRow > inputBytesLeft)) break;
      const byBytes = rowsInRun(bytes, rowsLeft, bytesLeft);
      const rows = Math.min(rowsInRun(bytesPerRow, byBytes, inputBytesLeft), entry.feeds.rows - entry.taken);
      batch.push(take(entry, rows, now));
      rowsLeft -= rows;
      bytesLeft -= rows * bytes;
      inputBytesLeft -= rows * bytesPerRow;
      entry = rowsLeft > 0 ? admission.next(head.key) : undefined;
    }
    return batch;
  }

  function take(entry: Entry, rows: number, now: number): BatchSlice {
    if (entry.taken === 0) onWait?.((now - entry.queuedAt) / 1000);
    return { entry, feeds: entry.feeds, first: admission.take(entry, rows), rows, isLastAttempt: false };
  }

  return {
    next: () => nextRetry() ?? nextQueued(),
    retry: (batches) => void retries.push(...batches),
    isEmpty: () => retries.length === 0 && admission.depth === 0,
    sweep() {
      const wanted = retries.splice(0).map((retry) => dropCancelled(retry, admission));
      retries.push(...wanted.filter(({ length }) => length > 0));
      admission.sweep();
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
    learnOutputBytes({ key, bytesPerRow }, outputs, rows) {
      if (isJoining) outputSizes.learn(key, bytesPerRow, rowBytes(outputs, rows));
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

function dropCancelled(batch: Batch, admission: Admission<Entry>): Batch {
  return batch.filter(({ entry }) => !admission.dropIfCancelled(entry));
}
