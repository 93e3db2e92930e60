import { createLineBuffer, type LineBufferOptions } from './line-buffer.ts';
import type { WriteSome } from './stdout.ts';
import { createWaiters } from './waiters.ts';

interface LineQueue {
  /** Adds one line, newline included. Never waits, never throws. */
  push(line: string): void;
  /** Lines dropped since the start. */
  dropped(): number;
  /** Resolves once all is written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
  /** Writes the remaining lines synchronously, for at most 2 s, and 250 ms in which the reader accepts nothing. For a process that exits. */
  drain(): void;
}

/** At this many bytes the lines are written without waiting for the end of the event loop's turn. */
const EAGER_BYTES = 64 * 1024;
const FIRST_RETRY_MS = 2;
const LAST_RETRY_MS = 50;
const EXIT_STALL_MS = 250;
const EXIT_TOTAL_MS = 2000;

/**
 * Creates a queue that writes lines at the end of the event loop's turn in which they are pushed. If the reader does not accept
 * them, writing is retried with a growing wait. Lines that remain when the process exits are written then.
 */
export function createLineQueue(write: WriteSome, options: LineBufferOptions): LineQueue {
  const buffer = createLineBuffer(write, options);
  const waiters = createWaiters();
  let drainsAtExit = false;
  let immediate: NodeJS.Immediate | undefined;
  let retry: NodeJS.Timeout | undefined;
  let delay = FIRST_RETRY_MS;

  function push(line: string): void {
    if (!buffer.add(line)) return;
    if (!drainsAtExit) process.once('exit', drain);
    drainsAtExit = true;
    if (retry !== undefined) return;
    if (buffer.bytes() >= EAGER_BYTES) advance();
    else immediate ??= setImmediate(advance);
  }

  function advance(): void {
    clearImmediate(immediate);
    clearTimeout(retry);
    immediate = undefined;
    retry = undefined;
    const written = buffer.writeAll();
    if (written !== 'all') {
      if (written === 'some') delay = FIRST_RETRY_MS;
      // Unreferenced: a stalled reader must not keep the process alive; the lines are tried once more at exit.
      retry = setTimeout(advance, delay).unref();
      delay = Math.min(delay * 2, LAST_RETRY_MS);
      return;
    }
    delay = FIRST_RETRY_MS;
    process.off('exit', drain);
    drainsAtExit = false;
    waiters.wake();
  }

  function drain(): void {
    const sleep = new Int32Array(new SharedArrayBuffer(4));
    const end = performance.now() + EXIT_TOTAL_MS;
    let stalledMs = 0;
    for (let written = buffer.writeAll(); written !== 'all'; written = buffer.writeAll()) {
      stalledMs = written === 'some' ? 0 : stalledMs + FIRST_RETRY_MS;
      if (stalledMs >= EXIT_STALL_MS || performance.now() >= end) return;
      Atomics.wait(sleep, 0, 0, FIRST_RETRY_MS);
    }
  }

  async function flush(timeoutMs: number): Promise<void> {
    advance();
    if (retry !== undefined) await waiters.wait(timeoutMs);
  }

  return { push, dropped: buffer.dropped, flush, drain };
}
