import { writeJson } from './json.ts';

/** Rows to predict, as the `features` of `/predict`. */
export type Rows = Iterable<unknown> | AsyncIterable<unknown>;

export interface RowReaderOptions {
  /** Whether no more rows are to be read until `resume`. */
  isFull(): boolean;
  /** Takes the next row, as a line of NDJSON. */
  onLine(line: string): void;
  /** Called once, after the last row: at the source's end, after its error or after `close`. */
  onEnd(): void;
}

/** Reads a source of any length, no further than there is room for its rows. */
export interface RowReader {
  /** Begins to read; a second call has no effect. */
  start(): void;
  /** Reads on where `isFull` was true and no longer is. */
  resume(): void;
  ended(): boolean;
  /** What the source threw, or what could not be written as JSON. */
  failure(): { readonly error: unknown } | undefined;
  /** Reads no more, and calls `return` of the source's iterator. */
  close(): void;
}

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
        // A row that is there already takes no turn of the microtask queue.
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
      // Not awaited: a source that waits for its own next row comes to this only then.
      if (!ended) void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}
