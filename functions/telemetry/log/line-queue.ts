import { createLineBuffer, type LineBufferOptions } from './line-buffer.ts';
import type { WriteSome } from './stdout.ts';
import { createWaiters } from './waiters.ts';

export interface LineQueue {
  /** Takes one line, newline included. Never waits, never throws. */
  push(line: string): void;
  /** Lines dropped since the start. */
  dropped(): number;
  /** Resolves once all is written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
  /** Writes what is left without the event loop, for as long as the reader takes it. For a process that ends. */
  drain(): void;
}

/** From this many bytes on the lines of one turn are written before its end. */
const EAGER_BYTES = 64 * 1024;
const FIRST_RETRY_MS = 2;
const LAST_RETRY_MS = 50;
const EXIT_STALL_MS = 250;
const EXIT_TOTAL_MS = 2000;

/**
 * Writes lines at the end of the turn in which they are pushed, and those that the reader does not take yet again and again,
 * with a growing wait. What is left when the process exits is written then.
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
      // Unreferenced: what a stalled reader has not taken is tried once more at exit, and is no reason to stay alive.
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
