import { ServingError } from '../errors.ts';
import { freeMemory, ownsMemory } from '../http/body/owned-memory.ts';
import type { RequestContext } from '../http/request-context.ts';
import type { RowFeeds, RowForm } from '../model/folder/rows.ts';
import { type JsonValue, readJson } from '../tensor/json/reader.ts';
import { LONG_BYTES, ReadingMemory } from './reading-memory.ts';
import { type Reading, type ReadingThread, startReadingThread } from './reading-thread.ts';
import { ShortFirstQueue } from './short-first.ts';

/** Bodies from this size on are read in a thread of their own: one of nothing but keys takes about 5 ms. */
const IN_THREAD_FROM = 65_536;
const MOST_THREADS = 4;
/** Longest that a thread may take for one body: then the thread is ended. A body of `MAX_BODY_BYTES` takes less than a second. */
const LIMIT_MS = 10_000;

/** The request that waits for its body. The body is dropped, unread, once the request is cancelled. */
export interface Owner extends Pick<RequestContext, 'res' | 'cancellation'> {
  /** Set by the reader. To be called once the value that was read is not used any more: other long bodies may wait for its memory. */
  releaseResult?: (() => void) | undefined;
  /** Set by the reader, if the value has tensors. Frees their memory: nothing may use them any more. */
  freeResult?: (() => void) | undefined;
}

/** What a body reader may use. */
interface BodyReaderOptions {
  /** CPUs of the process: one thread for each, at most 4, at least one. Default: 1. */
  readonly cpus?: number;
  /** Bytes that the process and its engine processes may use. Undefined: no limit. */
  readonly memoryBytes?: number | undefined;
  /** Longest that a thread may take for one body, in milliseconds. Default: 10 s. */
  readonly limitMs?: number;
}

/** Parses request bodies: small ones at once, large ones in threads. */
export interface BodyReader {
  /**
   * Parses a JSON body. The memory of a large one is transferred to a thread: `bytes` must not be used afterwards.
   * @returns the value of a small body, a promise of that of a large one.
   * @throws ServingError `INVALID_INPUT` with the byte of the syntax error, or for more values than may be copied from the
   * thread; else as `readInThread`.
   */
  parse(bytes: Buffer, owner: Owner): JsonValue | Promise<JsonValue>;
  /**
   * Parses a predict body and decodes its features in a thread: only the tensors are returned from it.
   * @throws ServingError as `readInThread` and `readPredictBody` do.
   */
  readFeeds(bytes: Buffer, form: RowForm, owner: Owner): Promise<RowFeeds>;
  /**
   * Reads a body in a thread, whatever its size; the tensors of the result are not copied. Memory that only the body uses is
   * transferred to the thread: see `ownsMemory`.
   * @throws ServingError as the reader of this body does; `TOO_LARGE` if it takes too much memory or time; `CLIENT_GONE` if its
   * request was cancelled before a thread was free.
   */
  readInThread<T>(bytes: Buffer, reading: Reading, owner: Owner): Promise<T>;
  /** Ends all threads; bodies that wait for one are refused. */
  close(): void;
}

interface Waiting {
  readonly bytes: Buffer;
  readonly reading: Reading;
  /** Bytes, also when the memory has been transferred to a thread. */
  readonly size: number;
  readonly owner: Owner;
  /** Bytes that the body is expected to take in memory: see `ReadingMemory`. */
  memory: number;
  /** The value that is read from it is not used, now or later. */
  released: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Whether a body, by its length in bytes, should be read in a thread. */
export const isLarge = ({ length }: { readonly length: number }): boolean => length >= IN_THREAD_FROM;

/**
 * Creates a reader of request bodies. Threads are started as large bodies arrive; each reads one body at a time, short bodies
 * first. Of several threads all but one may read long bodies, as far as the memory allows; one long body is always read. If a
 * thread ends, only the body that it was reading fails.
 * @param entry the thread's own file: `body-thread.ts`, or its bundle.
 */
export function createBodyReader(entry: URL, options: BodyReaderOptions = {}): BodyReader {
  const most = Math.max(1, Math.min(MOST_THREADS, Math.floor(options.cpus ?? 1)));
  const memory = new ReadingMemory(options.memoryBytes);
  const queue = new ShortFirstQueue<Waiting>();
  const threads = new Set<ReadingThread<Waiting>>();
  const watched = new WeakSet<Owner['res']>();

  function start(): ReadingThread<Waiting> {
    const thread = startReadingThread<Waiting>(entry, options.limitMs ?? LIMIT_MS, {
      onRead(body, value, buffers) {
        if (body.reading.as !== 'json') body.owner.freeResult = () => buffers.forEach(freeMemory);
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

  /** Passes bodies to threads while there is a thread for the next one. */
  function advance(): void {
    for (;;) {
      const idle = [...threads].find(({ body }) => body === undefined);
      if (idle === undefined && threads.size === most) return;
      const body = queue.take(mayReadLong() ? undefined : LONG_BYTES);
      if (body === undefined) return;
      if (body.owner.cancellation.cancelled) body.reject(cancelled());
      else read(body, idle);
    }
  }

  /** Whether there is a thread for another long body, and memory for the first one in the queue, which no other overtakes. */
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
      const body = { ...given, resolve, reject } as Waiting;
      owner.releaseResult = () => release(body);
      queue.push(body, bytes.length);
      advance();
    });
  }

  /** The memory of a body in a thread is released when the thread has read it. */
  function release(body: Waiting): void {
    body.released = true;
    if ([...threads].some((thread) => thread.body === body)) return;
    memory.release(body);
    advance();
  }

  /** Bodies of cancelled requests must not keep their memory until a thread is free. */
  function sweep(): void {
    for (const { reject } of queue.removeAll(({ owner }) => owner.cancellation.cancelled)) reject(cancelled());
    advance();
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
 * Whether the memory of a body's value counts until the request releases it. The JSON value of a batch does not: it lives as long
 * as its stream, which no deadline ends, so that other bodies cannot wait for it.
 */
const outlivesReading = ({ reading, released }: Waiting): boolean => reading.as !== 'json' && !released;

/**
 * The bytes in memory that nothing else uses. A copy has the same offset from a multiple of 8 as the original: tensors that could
 * be views of the original can be views of the copy.
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
