import { createRowReader, type Rows } from './row-reader.ts';

/**
 * The rows that were read and are not answered: a bounded part of a source of any length. Those that were sent are kept, so
 * that they can be sent again.
 */
export interface RowWindow {
  /** Begins to send all rows that are not answered. Senders made before get none of them any more. */
  send(): RowSender;
  /** The oldest row is answered. */
  answer(): void;
  /** Settles once a row is there that is not answered; with false where none will come. */
  waiting(): Promise<boolean>;
  /** Rows sent and not answered. */
  unanswered(): number;
  /** `performance.now()` of the moment since when a row is owed an answer; undefined where none is. */
  owedSince(): number | undefined;
  /** What the source threw. */
  failure(): { readonly error: unknown } | undefined;
  /** Reads no more, and calls `return` of the source's iterator. */
  close(): void;
}

/** Rows for one request. */
export interface RowSender {
  /**
   * The NDJSON of rows that were not taken yet: of those that are there, or the next to come, and of more than one only up to
   * `maxLength` characters. Undefined once no more will come, or another sends.
   */
  take(maxLength: number): Promise<string | undefined>;
  /** Settles when a `take` would not wait. */
  ready(): Promise<unknown>;
}

/** Characters of a window; a longer row has it for itself. */
export const WINDOW_LENGTH = 8 * 2 ** 20;

/** Microtasks within which a source that has a row gives it: an async generator in another takes six. */
const TURNS = 12;

/** @param maxRows rows in the window at most; with {@link WINDOW_LENGTH} characters it is full as well */
export function createRowWindow(rows: Rows, maxRows: number): RowWindow {
  // The rows from `first` on are not answered, those from `next` on not sent.
  let lines: string[] = [];
  let first = 0;
  let next = 0;
  let length = 0;
  let closed = false;
  let owedSince: number | undefined;
  let sendings = 0;
  let waiters: (() => void)[] = [];

  const held = (): number => lines.length - first;
  // Rows are read again once half of the window is free: rows that are read one by one would be sent one by one.
  const hasRoom = (): boolean => held() <= maxRows / 2 && length <= WINDOW_LENGTH / 2;

  const reader = createRowReader(rows, {
    isFull: () => held() >= maxRows || length >= WINDOW_LENGTH,
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

  /** Settles once `there` holds, or no more rows will come, or what it was for is `over`. */
  async function until(there: () => boolean, over = (): boolean => false): Promise<boolean> {
    reader.start();
    const isOver = (): boolean => closed || over();
    while (!there() && !reader.ended() && !isOver()) await new Promise<void>((resolve) => waiters.push(resolve));
    return there() && !isOver();
  }

  /** Waits while the source gives rows without waiting for anything itself: a chunk for each row would cost more than the row. */
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
    waiting: () => until(() => held() > 0),
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
