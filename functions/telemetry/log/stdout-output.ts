import { createLineQueue } from './line-queue.ts';
import { type LogEntry, makeEntry } from './log-entry.ts';
import { jsonLine, readableLine } from './log-line.ts';
import { openStdout } from './stdout.ts';

/** Where entries go. `write` never waits and never throws. */
export interface Output {
  write(entry: LogEntry): void;
  /** Resolves once all is out, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export interface StdoutOutput extends Output {
  /** Lines dropped because the reader of stdout did not keep up. */
  dropped(): number;
  /** Writes what is left without the event loop. */
  drain(): void;
}

/** Writes entries to stdout: a line of JSON each, or a short coloured line with `readable`. */
export function createStdoutOutput(readable: boolean): StdoutOutput {
  const toLine = readable ? readableLine : jsonLine;
  const notice = (count: number) =>
    toLine(
      makeEntry(
        'warning',
        `${count} log lines were dropped: the reader of stdout did not keep up`,
        { count },
        undefined,
      ),
    );
  const { push, dropped, flush, drain } = createLineQueue(openStdout(), { notice });
  return { write: (entry) => push(toLine(entry)), dropped, flush, drain };
}
