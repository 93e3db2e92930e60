import { createRowReader, type Rows } from './row-reader.ts';

/**
 * The rows that were read and have no result: a bounded part of a source of any length. Rows that were sent are kept, so that they
 * can be sent again.
 */
export interface RowWindow {
  /** Starts to send all rows without a result. Earlier senders get no more rows. */
  send(): RowSender;
  /** Removes the oldest row, which has a result. */
  answer(): void;
  /** Resolves with true once there is a row without a result, or false if there will be none. */
  waiting(): Promise<boolean>;
  /** Rows that are sent and have no result. */
  unanswered(): number;
  /** `performance.now()` since when the oldest row that was sent waits for its result; undefined if there is no such row. */
  owedSince(): number | undefined;
  /** The error of the source. */
  failure(): { readonly error: unknown } | undefined;
  /** Ends the reading, and calls `return` of the source's iterator. */
  close(): void;
}

/** Rows for one request. */
export interface RowSender {
  /**
   * The NDJSON of the next rows: of one at least, for which it waits, and of further ones that have been read, up to `maxLength`
   * characters. Undefined if there will be no more rows, or another sender was created.
   */
  take(maxLength: number): Promise<string | undefined>;
  /** Settles when `take` would not wait. */
  ready(): Promise<unknown>;
}

/** Characters of a full window; a longer row is alone in it. */
export const WINDOW_LENGTH = 8 * 2 ** 20;

/** Microtasks within which a source that does not wait returns a row: an async generator within another takes six. */
const TURNS = 12;

/** Creates the window of a source. @param maxRows most rows in the window; it is also full at {@link WINDOW_LENGTH} characters */
export function createRowWindow(rows: Rows, maxRows: number): RowWindow {
  // The rows from `first` on have no result, those from `next` on are not sent.
  let lines: string[] = [];
  let first = 0;
  let next = 0;
  let length = 0;
  let closed = false;
  let owedSince: number | undefined;
  let sendings = 0;
  let waiters: (() => void)[] = [];

  const unfinished = (): number => lines.length - first;
  // Rows are read again once half of the window is free: rows that are read one by one would be sent one by one.
  const hasRoom = (): boolean => unfinished() <= maxRows / 2 && length <= WINDOW_LENGTH / 2;

  const reader = createRowReader(rows, {
    isFull: () => unfinished() >= maxRows || length >= WINDOW_LENGTH,
    onLine(line) {
      length += line.length;
      lines.push(line);
      wake();
    },
    onEnd: wake,
  });

  function wake(): void {
    if (waiters.length === 0) return;
    for (const waiter of waiters) waiter();
    waiters = [];
  }

  /** Resolves once `there` is true (with true), there will be no more rows, or `over` is true. */
  async function until(there: () => boolean, over = (): boolean => false): Promise<boolean> {
    reader.start();
    const isOver = (): boolean => closed || over();
    while (!there() && !reader.ended() && !isOver()) await new Promise<void>((resolve) => waiters.push(resolve));
    return there() && !isOver();
  }

  /** Waits while the source returns rows without waiting itself: sending each row as its own chunk would take longer. */
  async function gather(): Promise<void> {
    for (let seen = -1; seen !== lines.length && !reader.ended(); ) {
      seen = lines.length;
      for (let turn = 0; turn < TURNS; turn++) await undefined;
    }
  }

  return {
    send() {
      const mine = ++sendings;
      next = first;
      owedSince = undefined;
      wake();
      const ready = (): Promise<boolean> =>
        until(
          () => next < lines.length,
          () => mine !== sendings,
        );
      return {
        ready,
        async take(maxLength) {
          if (!(await ready())) return undefined;
          await gather();
          if (closed || mine !== sendings) return undefined;
          owedSince ??= performance.now();
          let text = lines[next++]!;
          while (next < lines.length && text.length + lines[next]!.length <= maxLength) text += lines[next++];
          return text;
        },
      };
    },
    answer() {
      length -= lines[first]!.length;
      lines[first++] = '';
      owedSince = next > first ? performance.now() : undefined;
      if (first > 1024 && first * 2 > lines.length) {
        lines = lines.slice(first);
        next -= first;
        first = 0;
      }
      if (hasRoom()) reader.resume();
    },
    waiting: () => until(() => unfinished() > 0),
    unanswered: () => next - first,
    owedSince: () => owedSince,
    failure: reader.failure,
    close() {
      closed = true;
      reader.close();
      wake();
    },
  };
}
