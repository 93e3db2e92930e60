import type { WriteSome } from './stdout.ts';

export interface LineQueueOptions {
  /** Bytes held for a reader that does not keep up. Beyond, whole lines are dropped. Default 1 MiB. */
  limit?: number;
  /** Makes the line that tells of `count` dropped ones, written once the queue has drained. */
  notice: (count: number) => string;
}

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

const CHUNK = 64 * 1024;
const FIRST_RETRY_MS = 2;
const LAST_RETRY_MS = 50;
const EXIT_STALL_MS = 250;
const EXIT_TOTAL_MS = 2000;

/** Queues lines before a writer that may be unable to take them. Order is kept; a line is written whole or not at all. */
export function createLineQueue(write: WriteSome, options: LineQueueOptions): LineQueue {
  const limit = options.limit ?? 1024 * 1024;
  let lines: string[] = [];
  let queued = 0;
  // What is being written: some whole lines, of which the first `offset` bytes are out.
  let chunk = Buffer.alloc(0);
  let chunkLines = 0;
  let offset = 0;
  let torn = false;
  let gone = false;
  let dropped = 0;
  let untold = 0;
  let guarded = false;
  let immediate: NodeJS.Immediate | undefined;
  let retry: NodeJS.Timeout | undefined;
  let delay = FIRST_RETRY_MS;
  let waiters: (() => void)[] = [];

  const bytesLeft = () => queued + chunk.length - offset;

  function drop(count: number): void {
    dropped += count;
    untold += count;
  }

  function enqueue(line: string, size: number): void {
    lines.push(line);
    queued += size;
  }

  function push(line: string): void {
    const size = Buffer.byteLength(line);
    if (gone || bytesLeft() + size > limit) {
      drop(1);
      return;
    }
    enqueue(line, size);
    if (!guarded) process.once('exit', drain);
    guarded = true;
    if (retry !== undefined) return;
    if (queued >= CHUNK) advance();
    else immediate ??= setImmediate(advance);
  }

  function nextChunk(): boolean {
    if (lines.length === 0 && untold > 0 && !gone) {
      const notice = options.notice(untold);
      untold = 0;
      enqueue(notice, Buffer.byteLength(notice));
    }
    if (lines.length === 0) return false;
    let size = 0;
    let count = 0;
    while (count < lines.length && size < CHUNK) size += lines[count++]!.length;
    const text = lines.slice(0, count).join('');
    lines = lines.slice(count);
    queued -= Buffer.byteLength(text);
    // A line that an error cut short must not run into the next.
    chunk = Buffer.from(torn ? `\n${text}` : text);
    chunkLines = count;
    offset = 0;
    torn = false;
    return true;
  }

  /** EPIPE is for good. Anything else (a full disk) costs the lines in hand; later ones are tried again. */
  function fail(error: NodeJS.ErrnoException): void {
    gone = error.code === 'EPIPE';
    torn = offset > 0 && chunk[offset - 1] !== 0x0a;
    drop(chunkLines + lines.length);
    lines = [];
    queued = 0;
    offset = chunk.length;
  }

  /** True once nothing is left to write, false while the reader takes no more. */
  function writeAll(): boolean {
    while (offset < chunk.length || nextChunk()) {
      try {
        offset += write(chunk, offset);
        delay = FIRST_RETRY_MS;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
        fail(error as NodeJS.ErrnoException);
        return true;
      }
    }
    return true;
  }

  function advance(): void {
    clearImmediate(immediate);
    clearTimeout(retry);
    immediate = undefined;
    retry = undefined;
    if (!writeAll()) {
      // No reason to stay alive: what a stalled reader has not taken gets its last chance at exit.
      retry = setTimeout(advance, delay).unref();
      delay = Math.min(delay * 2, LAST_RETRY_MS);
      return;
    }
    process.off('exit', drain);
    guarded = false;
    for (const wake of waiters) wake();
    waiters = [];
  }

  function drain(): void {
    const sleep = new Int32Array(new SharedArrayBuffer(4));
    const end = performance.now() + EXIT_TOTAL_MS;
    let stalled = 0;
    let before = bytesLeft();
    while (!writeAll() && stalled < EXIT_STALL_MS && performance.now() < end) {
      stalled = bytesLeft() === before ? stalled + FIRST_RETRY_MS : 0;
      before = bytesLeft();
      Atomics.wait(sleep, 0, 0, FIRST_RETRY_MS);
    }
  }

  async function flush(timeoutMs: number): Promise<void> {
    advance();
    if (retry === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  return { push, dropped: () => dropped, flush, drain };
}
