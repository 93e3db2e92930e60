import { Worker } from 'node:worker_threads';
import { type ErrorCode, ServingError } from '../errors.ts';
import type { RequestContext } from '../http/request-context.ts';
import type { RowFeeds, RowForm } from '../model/folder/rows.ts';
import { type JsonValue, readJson } from '../tensor/json/reader.ts';
import { ShortFirstQueue } from './short-first.ts';

/** Bodies from this size on are read in a thread of their own: one of nothing but keys takes about 5 ms. */
const ASIDE_FROM = 65_536;
/** Of several threads, all but one may be at work on bodies above this size. */
const LONG_BYTES = 2 ** 21;
const MOST_THREADS = 4;
/** A body of `MAX_BODY_BYTES` takes less than a second; a thread that is busy for so long is ended. */
const LIMIT_MS = 10_000;

/** How a thread decodes a body: routes/body-thread.ts has a reader for each. */
export type Reading =
  | { readonly as: 'json' }
  | { readonly as: 'features' | 'tensorflow' | 'vertex'; readonly form: RowForm }
  /** @see readInfer */
  | { readonly as: 'infer'; readonly form: RowForm; readonly textBytes: number | undefined };

/** What a reading thread is sent. */
export interface Job {
  readonly bytes: Uint8Array;
  readonly reading: Reading;
}

/** What a reading thread answers. */
export type Answer =
  | { readonly value: unknown }
  | { readonly error: { code: ErrorCode; message: string; path: string | undefined } };

/** The request that waits for its body. The body is dropped, unread, once the request is cancelled. */
export type Owner = Pick<RequestContext, 'res' | 'cancellation'>;

export interface BodyReader {
  /**
   * @returns the value at once for a small body, a promise of it for a large one; a large body's memory is given away.
   * @throws ServingError `INVALID_INPUT` with the byte at which it stops being JSON, or where it holds more values than
   * may be copied from the thread; else as `readAside`.
   */
  parse(bytes: Buffer, owner: Owner): JsonValue | Promise<JsonValue>;
  /**
   * Reads a predict body and decodes its features, all of it in a thread: only the tensors come back.
   * @throws ServingError as `readAside` and `readPredictBody` do.
   */
  readFeeds(bytes: Buffer, form: RowForm, owner: Owner): Promise<RowFeeds>;
  /**
   * Reads a body in a thread, whatever its size; what was made of it comes back without a copy of its tensors.
   * @throws ServingError as the reader does; `TOO_LARGE` where the thread's memory or time is not enough for it;
   * `CLIENT_GONE` where its owner left before a thread was free.
   */
  readAside<T>(bytes: Buffer, reading: Reading, owner: Owner): Promise<T>;
  close(): void;
}

interface Waiting extends Job {
  /** Bytes, also when the memory has been given to a thread. */
  readonly size: number;
  readonly owner: Owner;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Thread {
  readonly worker: Worker;
  body: Waiting | undefined;
  watchdog: NodeJS.Timeout | undefined;
}

/** Whether a body is better read in a thread. */
export const isLarge = ({ length }: { readonly length: number }): boolean => length >= ASIDE_FROM;

/**
 * Reads request bodies. Threads start as large bodies come, and each has one body at a time, short bodies first. What ends
 * a thread fails the body that it had, and no other.
 * @param entry the thread's own file: `body-thread.ts`, or its bundle.
 * @param cpus a thread for each, at most 4, at least one.
 * @param limitMs how long a body may take in its thread.
 */
export function createBodyReader(entry: URL, cpus = 1, limitMs = LIMIT_MS): BodyReader {
  const most = Math.max(1, Math.min(MOST_THREADS, Math.floor(cpus)));
  const queue = new ShortFirstQueue<Waiting>();
  const threads = new Set<Thread>();
  const watched = new WeakSet<Owner['res']>();

  function start(): Thread {
    const thread: Thread = { worker: new Worker(entry), body: undefined, watchdog: undefined };
    threads.add(thread);
    thread.worker.unref();
    thread.worker.on('message', (answer: Answer) => {
      const { body } = thread;
      // The watchdog has ended the thread, and its answer came too late.
      if (body === undefined) return;
      endBody(thread);
      if ('value' in answer) body.resolve(answer.value);
      else body.reject(new ServingError(answer.error.code, answer.error.message, pathOf(answer.error.path)));
      advance();
    });
    thread.worker.on('error', (cause) => lose(thread, outOfMemory(cause) ?? cause));
    thread.worker.on('exit', () => lose(thread, new Error('the reading thread ended')));
    return thread;
  }

  function endBody(thread: Thread): void {
    clearTimeout(thread.watchdog);
    thread.body = undefined;
  }

  /** Called twice for a thread that dies of an error. */
  function lose(thread: Thread, cause: Error): void {
    if (!threads.delete(thread)) return;
    const { body } = thread;
    endBody(thread);
    body?.reject(cause);
    advance();
  }

  /** Hands bodies to threads for as long as there is one for the next. */
  function advance(): void {
    for (;;) {
      const idle = [...threads].find(({ body }) => body === undefined);
      if (idle === undefined && threads.size === most) return;
      const long = [...threads].filter(({ body }) => body !== undefined && body.size > LONG_BYTES).length;
      const body = queue.take(long < Math.max(1, most - 1) ? undefined : LONG_BYTES);
      if (body === undefined) return;
      if (body.owner.cancellation.gone) body.reject(gone());
      else hand(body, idle);
    }
  }

  function hand(body: Waiting, idle: Thread | undefined): void {
    const { bytes, reading } = body;
    try {
      const thread = idle ?? start();
      thread.worker.postMessage({ bytes, reading } satisfies Job, [bytes.buffer as ArrayBuffer]);
      thread.body = body;
      thread.watchdog = setTimeout(expire, limitMs, thread).unref();
    } catch (cause) {
      body.reject(cause);
    }
  }

  function expire(thread: Thread): void {
    void thread.worker.terminate();
    lose(thread, tooSlow(limitMs));
  }

  function readAside<T>(bytes: Buffer, reading: Reading, owner: Owner): Promise<T> {
    if (!watched.has(owner.res)) {
      watched.add(owner.res);
      owner.res.once('close', sweep);
    }
    return new Promise((resolve, reject) => {
      const own = { bytes: ownMemory(bytes), size: bytes.length, reading, owner };
      queue.push({ ...own, resolve: resolve as Waiting['resolve'], reject }, bytes.length);
      advance();
    });
  }

  /** Bodies of cancelled requests must not keep their memory until a thread is free. */
  function sweep(): void {
    for (const { reject } of queue.removeAll(({ owner }) => owner.cancellation.gone)) reject(gone());
  }

  return {
    parse: (bytes, owner) => (isLarge(bytes) ? readAside<JsonValue>(bytes, { as: 'json' }, owner) : readJson(bytes)),
    readFeeds: (bytes, form, owner) => readAside<RowFeeds>(bytes, { as: 'features', form }, owner),
    readAside,
    close() {
      for (const { reject } of queue.removeAll(() => true)) reject(new Error('the server is closing'));
      for (const { worker } of threads) void worker.terminate();
    },
  };
}

/**
 * The bytes in memory that holds nothing else, so that it can be transferred: Buffer's pool cannot be. A copy starts as far
 * from a multiple of 8 as the original: tensors can be views of it where they could be before.
 */
function ownMemory(bytes: Buffer): Buffer {
  if (bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength) return bytes;
  const lead = bytes.byteOffset & 7;
  const own = Buffer.allocUnsafeSlow(lead + bytes.length).subarray(lead);
  bytes.copy(own);
  return own;
}

function gone(): ServingError {
  return new ServingError('CLIENT_GONE', 'nobody waits for the answer: the client left, or its deadline passed');
}

function tooSlow(limitMs: number): ServingError {
  const message = `the body takes more than ${limitMs} ms to read: send fewer or larger values in one body`;
  return new ServingError('TOO_LARGE', message);
}

function outOfMemory(cause: Error & { code?: string }): ServingError | undefined {
  if (cause.code !== 'ERR_WORKER_OUT_OF_MEMORY') return undefined;
  const message = 'the body takes more memory to read than there is: send fewer or larger values in one body';
  return new ServingError('TOO_LARGE', message, { cause });
}

const pathOf = (path: string | undefined): { path?: string } => (path === undefined ? {} : { path });
