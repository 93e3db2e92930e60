import { type BodyBudget, processBudget } from '../../http/body/body-budget.ts';
import { processSlices } from '../../http/time-slice.ts';
import type { ReadRow, RowResult } from './row-batch.ts';
import type { RowSource, SourceRow } from './row-source.ts';
import type { RowStream } from './row-stream.ts';

/** A batch is full at this many bytes of lines, however few rows it has. */
const BATCH_BYTES = 2 ** 20;
/** Nothing more is read of a stream whose unfinished rows have this many bytes. The last line may exceed it by as much as a line may have. */
const STREAM_BYTES = 2 ** 22;

/** How rows are batched, read and run. */
interface FeedOptions {
  /** Most rows of a batch. */
  readonly batchSize: number;
  /** Reads a row. Never rejects. */
  read(row: SourceRow): ReadRow | Promise<ReadRow>;
  /** Runs a batch. Never rejects. */
  run(batch: readonly (ReadRow | Promise<ReadRow>)[]): Promise<readonly RowResult[]>;
  /** Whether the stream ends here: no further row is run. */
  over(): boolean;
  /** The budget in which the rows' bytes are reserved. Default: the process's. */
  readonly budget?: BodyBudget;
}

/**
 * Reads rows and puts them into the stream, a batch at a time; the last rows of a group may be a smaller batch. The bytes of a
 * row are released when its batch has been run, or when the stream ends before that.
 * @returns whether all rows were put: false if `over` ended the stream.
 * @throws what the source throws.
 */
export async function feedRows(source: RowSource, stream: RowStream, options: FeedOptions): Promise<boolean> {
  const { batchSize, budget = processBudget } = options;
  let batch: (ReadRow | Promise<ReadRow>)[] = [];
  let batchBytes = 0;
  /** The rows of the batch that have a `release`. */
  let batchRows: SourceRow[] = [];
  let streamBytes = 0;
  let onReleased: (() => void) | undefined;

  function release(bytes: number, rows: readonly SourceRow[]): void {
    for (const row of rows) row.release!();
    streamBytes -= bytes;
    budget.release(bytes);
    onReleased?.();
  }

  function put(): Promise<void> | undefined {
    const [bytes, rows] = [batchBytes, batchRows];
    const results = options.run(batch);
    batch = [];
    batchBytes = 0;
    batchRows = [];
    const done = (): void => release(bytes, rows);
    results.then(done, done);
    return stream.put(results);
  }

  async function takeGroup(group: Iterable<SourceRow>): Promise<boolean> {
    for (const row of group) {
      batchBytes += row.bytes;
      streamBytes += row.bytes;
      if (row.release !== undefined) batchRows.push(row);
      const pause = processSlices.wait();
      if (pause !== undefined) await pause;
      batch.push(options.read(row));
      if (batch.length < batchSize && batchBytes < BATCH_BYTES) continue;
      if (options.over()) return false;
      await put();
    }
    if (options.over()) return false;
    if (batch.length > 0) await put();
    return true;
  }

  try {
    for await (const group of source) {
      const pause = processSlices.wait();
      if (pause !== undefined) await pause;
      if (!(await takeGroup(group))) return false;
      while (streamBytes >= STREAM_BYTES) {
        await new Promise<void>((resolve) => {
          onReleased = resolve;
        });
      }
    }
    return true;
  } finally {
    release(batchBytes, batchRows);
  }
}
