import { Worker } from 'node:worker_threads';
import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { type ErrorCode, ServingError } from '../errors.ts';
import type { RowFeeds, RowForm } from '../model/rows.ts';

/** Bodies from this size on are read in a thread of their own: 256 KiB take about a millisecond. */
const ASIDE_FROM = 262_144;

/** What is to be made of a body, in a thread that knows nothing else of the server: routes/json-thread.ts has a reader for each. */
export type Reading =
  | { readonly as: 'json' }
  | { readonly as: 'features' | 'tensorflow' | 'vertex'; readonly form: RowForm }
  /** @see readInfer */
  | { readonly as: 'infer'; readonly form: RowForm; readonly textBytes: number | undefined };

/** What the reading thread is sent. */
export interface Job {
  readonly bytes: Uint8Array;
  readonly reading: Reading;
}

/** What the reading thread answers. */
export type Answer =
  | { readonly value: unknown }
  | { readonly error: { code: ErrorCode; message: string; path: string | undefined } };

export interface JsonParser {
  /**
   * @returns the value at once for a small body, a promise of it for a large one; a large body's memory is given away.
   * @throws ServingError `INVALID_INPUT` with the byte at which it stops being JSON, or where it holds more values than
   * may be copied from the thread; `TOO_LARGE` where the thread's memory is too small for it.
   */
  parse(bytes: Buffer): JsonValue | Promise<JsonValue>;
  /**
   * Reads a predict body and decodes its features, all of it in the thread: only the tensors come back.
   * @throws ServingError as `parse` and `readPredictBody` do.
   */
  readFeeds(bytes: Buffer, form: RowForm): Promise<RowFeeds>;
  /**
   * Reads a body in the thread, whatever its size; what was made of it comes back without a copy of its tensors.
   * @throws ServingError as the reader does; `TOO_LARGE` where the thread's memory is too small for it.
   */
  readAside<T>(bytes: Buffer, reading: Reading): Promise<T>;
  close(): void;
}

interface Waiting extends Job {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const source = import.meta.url.endsWith('.ts');
const ENTRY = new URL(source ? '../routes/json-thread.ts' : './json-thread.js', import.meta.url);

/** Whether a body is better read in the thread. */
export const isLarge = ({ length }: { readonly length: number }): boolean => length >= ASIDE_FROM;

/**
 * Reads request bodies. The thread starts with the first large body and has one body at a time: what ends the thread
 * fails that body alone, and those that wait get the next.
 */
export function createJsonParser(): JsonParser {
  const queue: Waiting[] = [];
  let thread: Worker | undefined;
  let current: Waiting | undefined;

  function start(): Worker {
    const started = new Worker(ENTRY);
    started.unref();
    started.on('message', (answer: Answer) => {
      const owner = current!;
      current = undefined;
      if ('value' in answer) owner.resolve(answer.value);
      else owner.reject(new ServingError(answer.error.code, answer.error.message, pathOf(answer.error.path)));
      advance();
    });
    started.on('error', (cause) => lose(started, cause));
    started.on('exit', () => lose(started, new Error('the reading thread ended')));
    return started;
  }

  /** A thread that dies of an error tells it twice: the second time its successor may be at work. */
  function lose(ended: Worker, cause: Error): void {
    if (thread !== ended) return;
    thread = undefined;
    const owner = current;
    current = undefined;
    owner?.reject(outOfMemory(cause) ?? cause);
    advance();
  }

  function advance(): void {
    if (current !== undefined) return;
    current = queue.shift();
    if (current === undefined) return;
    const { bytes, reading, reject } = current;
    try {
      thread ??= start();
      thread.postMessage({ bytes, reading } satisfies Job, [bytes.buffer as ArrayBuffer]);
    } catch (cause) {
      current = undefined;
      reject(cause);
      advance();
    }
  }

  function readAside<T>(bytes: Buffer, reading: Reading): Promise<T> {
    const own = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : Buffer.from(bytes);
    return new Promise((resolve, reject) => {
      queue.push({ bytes: own, reading, resolve: resolve as Waiting['resolve'], reject });
      advance();
    });
  }

  return {
    parse: (bytes) => (isLarge(bytes) ? readAside<JsonValue>(bytes, { as: 'json' }) : readJson(bytes)),
    readFeeds: (bytes, form) => readAside<RowFeeds>(bytes, { as: 'features', form }),
    readAside,
    close() {
      for (const { reject } of queue.splice(0)) reject(new Error('the server is closing'));
      void thread?.terminate();
    },
  };
}

function outOfMemory(cause: Error & { code?: string }): ServingError | undefined {
  if (cause.code !== 'ERR_WORKER_OUT_OF_MEMORY') return undefined;
  const message = 'the body takes more memory to read than there is: send fewer or larger values in one body';
  return new ServingError('TOO_LARGE', message, { cause });
}

const pathOf = (path: string | undefined): { path?: string } => (path === undefined ? {} : { path });
