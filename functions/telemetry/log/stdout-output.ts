import { createLineQueue } from './line-queue.ts';
import { type LogEntry, makeEntry } from './log-entry.ts';
import { jsonLine, readableLine } from './log-line.ts';
import { openStdout } from './stdout.ts';

/** The destination of entries: the format and the transport that winston uses. */
export interface Output {
  /** The text of an entry. */
  format(entry: LogEntry): string;
  /** Writes an entry, whose text is `text`. Never waits and never throws. */
  write(entry: LogEntry, text: string): void;
  /** Resolves once all entries are written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

/** The output to stdout. */
export interface StdoutOutput extends Output {
  /** Lines dropped because the reader of stdout did not keep up. */
  dropped(): number;
  /** Writes the remaining lines synchronously. For a process that exits. */
  drain(): void;
}

/** Moves to the start of a terminal's line and clears it: a line that shows progress may be there. */
const CLEAR_LINE = '\r\x1b[K';

/** Creates the output to stdout: each entry is a line of JSON or, with `readable`, a short coloured line. */
export function createStdoutOutput(readable: boolean): StdoutOutput {
  const format = readable ? (entry: LogEntry) => `${CLEAR_LINE}${readableLine(entry)}` : jsonLine;
  const notice = (count: number) => {
    const message = `${count} log lines were dropped: the reader of stdout did not keep up`;
    return format(makeEntry('warning', message, { count }, undefined));
  };
  const { push, dropped, flush, drain } = createLineQueue(openStdout(), { notice });
  return { format, write: (_, line) => push(line), dropped, flush, drain };
}
