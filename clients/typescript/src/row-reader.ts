import { writeJson } from './json.ts';

/** Rows to predict, each as the `features` of `/predict`. */
export type Rows = Iterable<unknown> | AsyncIterable<unknown>;

interface RowReaderOptions {
  /** Whether reading has to wait for `resume`. */
  isFull(): boolean;
  /** Called with each row, as a line of NDJSON. */
  onLine(line: string): void;
  /** Called once, after the last row: at the source's end, after its error or after `close`. */
  onEnd(): void;
}

/** Reads a source of any length, until `isFull`. */
interface RowReader {
  /** Starts to read; a second call has no effect. */
  start(): void;
  /** Continues to read after `isFull` was true. */
  resume(): void;
  /** Whether no more rows will be read. */
  ended(): boolean;
  /** The error of the source, or of writing a row as JSON. */
  failure(): { readonly error: unknown } | undefined;
  /** Ends the reading, and calls `return` of the source's iterator. */
  close(): void;
}

/** Creates a reader of a source. Nothing is read before `start`. */
export function createRowReader(rows: Rows, { isFull, onLine, onEnd }: RowReaderOptions): RowReader {
  const iterator = Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]();
  let started = false;
  let ended = false;
  let closed = false;
  let failure: { readonly error: unknown } | undefined;
  let resume = (): void => {};

  async function read(): Promise<void> {
    try {
      while (!closed) {
        if (isFull()) await new Promise<void>((resolve) => (resume = resolve));
        const step = iterator.next();
        // A row of a synchronous source takes no microtask.
        const { done, value } = 'then' in step ? await step : step;
        if (done || closed) break;
        onLine(`{"features":${writeJson(value)}}\n`);
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    onEnd();
  }

  return {
    start() {
      if (started) return;
      started = true;
      void read();
    },
    resume: () => resume(),
    ended: () => ended,
    failure: () => failure,
    close() {
      if (closed) return;
      closed = true;
      resume();
      // Not awaited: a source that waits for its next row returns only after that.
      if (!ended) void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}
