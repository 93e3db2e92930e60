import { ServingError } from '../errors.ts';
import { ownsMemory } from '../http/body/owned-memory.ts';
import type { RequestContext } from '../http/request-context.ts';
import type { RowFeeds, RowForm } from '../model/folder/rows.ts';
import { type JsonValue, readJson } from '../tensor/json/reader.ts';
import { LONG_BYTES, ReadingMemory } from './reading-memory.ts';
import { type Reading, type ReadingThread, startReadingThread } from './reading-thread.ts';
import { ShortFirstQueue } from './short-first.ts';

/** Bodies from this size on are read in a thread of their own: one of nothing but keys takes about 5 ms. */
const IN_THREAD_FROM = 65_536;
const MOST_THREADS = 4;
/** A body of `MAX_BODY_BYTES` takes less than a second; a thread that is busy for so long is ended. */
const LIMIT_MS = 10_000;

/** The request that waits for its body. The body is dropped, unread, once the request is cancelled. */
export interface Owner extends Pick<RequestContext, 'res' | 'cancellation'> {
  /** Set by the reader. To be called once what was read is not used any more: other long bodies may wait for its memory. */
  releaseResult?: (() => void) | undefined;
}

export interface BodyReaderOptions {
  /** A thread for each, at most 4, at least one. Default: 1. */
  readonly cpus?: number;
  /** What the process may use, its engine processes included. Undefined: no limit. */
  readonly memoryBytes?: number | undefined;
  /** How long a body may take in its thread. */
  readonly limitMs?: number;
}

export interface BodyReader {
  /**
   * @returns the value at once for a small body, a promise of it for a large one; a large body's memory is given away.
   * @throws ServingError `INVALID_INPUT` with the byte at which it stops being JSON, or where it holds more values than
   * may be copied from the thread; else as `readInThread`.
   */
  parse(bytes: Buffer, owner: Owner): JsonValue | Promise<JsonValue>;
  /**
   * Reads a predict body and decodes its features, all of it in a thread: only the tensors come back.
   * @throws ServingError as `readInThread` and `readPredictBody` do.
   */
  readFeeds(bytes: Buffer, form: RowForm, owner: Owner): Promise<RowFeeds>;
  /**
   * Reads a body in a thread, whatever its size; what was made of it comes back without a copy of its tensors. Memory that is
   * the body's alone is transferred to the thread: see `ownsMemory`.
   * @throws ServingError as the reader does; `TOO_LARGE` where the thread's memory or time is not enough for it;
   * `CLIENT_GONE` where its owner left before a thread was free.
   */
  readInThread<T>(bytes: Buffer, reading: Reading, owner: Owner): Promise<T>;
  close(): void;
}

interface Waiting {
  readonly bytes: Buffer;
  readonly reading: Reading;
  /** Bytes, also when the memory has been transferred to a thread. */
  readonly size: number;
  readonly owner: Owner;
  /** As `ReadingMemory` has it. */
  memory: number;
  /** What is read from it is not, and will not be, used. */
  released: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Whether a body is better read in a thread. */
export const isLarge = ({ length }: { readonly length: number }): boolean => length >= IN_THREAD_FROM;

/**
 * Reads request bodies. Threads start as large bodies come, and each has one body at a time, short bodies first. Of several
 * threads all but one may be at work on long bodies, as far as the memory allows; one long body is always read. What ends a
 * thread fails the body that it had, and no other.
 * @param entry the thread's own file: `body-thread.ts`, or its bundle.
 */
export function createBodyReader(entry: URL, options: BodyReaderOptions = {}): BodyReader {
  const { cpus = 1, limitMs = LIMIT_MS } = options;
  const most = Math.max(1, Math.min(MOST_THREADS, Math.floor(cpus)));
  const memory = new ReadingMemory(options.memoryBytes);
  const queue = new ShortFirstQueue<Waiting>();
  const threads = new Set<ReadingThread<Waiting>>();
  const watched = new WeakSet<Owner['res']>();

  function start(): ReadingThread<Waiting> {
    const thread = startReadingThread<Waiting>(entry, limitMs, {
      onRead(body, value) {
        if (outlivesReading(body)) memory.keepResult(body);
        else memory.release(body);
        body.resolve(value);
        advance();
      },
      onRefused: (body, error) => fail(body, error),
      onEnd(body, cause) {
        threads.delete(thread);
        fail(body, cause);
      },
    });
    threads.add(thread);
    return thread;
  }

  function fail(body: Waiting | undefined, error: Error): void {
    if (body !== undefined) {
      memory.release(body);
      body.reject(error);
    }
    advance();
  }

  /** Hands bodies to threads for as long as there is one for the next. */
  function advance(): void {
    for (;;) {
      const idle = [...threads].find(({ body }) => body === undefined);
      if (idle === undefined && threads.size === most) return;
      const body = queue.take(mayReadLong() ? undefined : LONG_BYTES);
      if (body === undefined) return;
      if (body.owner.cancellation.gone) body.reject(cancelled());
      else read(body, idle);
    }
  }

  /** Whether there is a thread for another long body, and memory for the next one: no other goes before it. */
  function mayReadLong(): boolean {
    const long = [...threads].filter(({ body }) => body !== undefined && body.size > LONG_BYTES).length;
    return long < Math.max(1, most - 1) && memory.fits(queue.peek()?.size ?? 0);
  }

  function read(body: Waiting, idle: ReadingThread<Waiting> | undefined): void {
    try {
      const thread = idle ?? start();
      thread.read(body, { bytes: transferable(body.bytes), reading: body.reading });
      memory.startReading(body);
    } catch (cause) {
      body.reject(cause);
    }
  }

  function readInThread<T>(bytes: Buffer, reading: Reading, owner: Owner): Promise<T> {
    if (!watched.has(owner.res)) {
      watched.add(owner.res);
      owner.res.once('close', sweep);
    }
    return new Promise((resolve, reject) => {
      const given = { bytes, size: bytes.length, reading, owner, memory: 0, released: false };
      const body: Waiting = { ...given, resolve: resolve as Waiting['resolve'], reject };
      owner.releaseResult = () => release(body);
      queue.push(body, bytes.length);
      advance();
    });
  }

  /** Of a body in a thread, the memory is released when its reading ends. */
  function release(body: Waiting): void {
    body.released = true;
    if ([...threads].some((thread) => thread.body === body)) return;
    memory.release(body);
    advance();
  }

  /** Bodies of cancelled requests must not keep their memory until a thread is free. */
  function sweep(): void {
    for (const { reject } of queue.removeAll(({ owner }) => owner.cancellation.gone)) reject(cancelled());
  }

  return {
    parse: (bytes, owner) => (isLarge(bytes) ? readInThread<JsonValue>(bytes, { as: 'json' }, owner) : readJson(bytes)),
    readFeeds: (bytes, form, owner) => readInThread<RowFeeds>(bytes, { as: 'features', form }, owner),
    readInThread,
    close() {
      for (const { reject } of queue.removeAll(() => true)) reject(new Error('the server is closing'));
      for (const thread of threads) thread.terminate();
    },
  };
}

/**
 * Whether its memory counts for as long as the request uses it. The JSON value of a batch lives as long as its stream, which
 * no deadline ends: no other body waits for it.
 */
const outlivesReading = ({ reading, released }: Waiting): boolean => reading.as !== 'json' && !released;

/**
 * The bytes in memory that nothing else uses. A copy starts as far from a multiple of 8 as the original: tensors can be views
 * of it where they could be before.
 */
function transferable(bytes: Buffer): Uint8Array<ArrayBuffer> {
  if (ownsMemory(bytes)) return bytes as Buffer<ArrayBuffer>;
  const lead = bytes.byteOffset & 7;
  const own = Buffer.allocUnsafeSlow(lead + bytes.length).subarray(lead);
  bytes.copy(own);
  return own;
}

function cancelled(): ServingError {
  return new ServingError('CLIENT_GONE', 'the request was cancelled: the client left, or its deadline passed');
}
