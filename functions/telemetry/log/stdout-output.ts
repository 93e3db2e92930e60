import { createLineQueue } from './line-queue.ts';
import { type LogEntry, makeEntry } from './log-entry.ts';
import { jsonLine, readableLine } from './log-line.ts';
import { openStdout } from './stdout.ts';

/** Where entries go, as the format and the transport that winston is given. */
export interface Output {
  /** The text of an entry. */
  format(entry: LogEntry): string;
  /** Takes an entry and its text. Never waits and never throws. */
  write(entry: LogEntry, text: string): void;
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
  const format = readable ? readableLine : jsonLine;
  const notice = (count: number) => {
    const message = `${count} log lines were dropped: the reader of stdout did not keep up`;
    return format(makeEntry('warning', message, { count }, undefined));
  };
  const { push, dropped, flush, drain } = createLineQueue(openStdout(), { notice });
  return { format, write: (_, line) => push(line), dropped, flush, drain };
}
