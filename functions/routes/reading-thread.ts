import { Worker } from 'node:worker_threads';
import { type ErrorCode, ServingError } from '../errors.ts';
import type { RowForm } from '../model/folder/rows.ts';

/** How a thread decodes a body: `body-thread.ts` has a reader for each. */
export type Reading =
  | { readonly as: 'json' }
  | { readonly as: 'features' | 'tensorflow' | 'vertex'; readonly form: RowForm }
  /** @see readInfer */
  | { readonly as: 'infer'; readonly form: RowForm; readonly textBytes: number | undefined };

/** A message to a reading thread. */
export interface Job {
  /** In memory that nothing else uses, which is transferred. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly reading: Reading;
}

/** A message from a reading thread: the value of the body, with the buffers of its numbers, or the error that it was refused with. */
export type JobResult =
  | { readonly value: unknown; readonly buffers: readonly ArrayBuffer[] }
  | { readonly error: { code: ErrorCode; message: string; path: string | undefined } };

/** A thread that reads one body at a time. */
export interface ReadingThread<B> {
  /** The body that it is reading; undefined while it is idle. */
  readonly body: B | undefined;
  /** Starts to read a body. @throws if the job cannot be sent to the thread, which stays idle then. */
  read(body: B, job: Job): void;
  /** Ends the thread. */
  terminate(): void;
}

/** What a thread reports. */
interface ThreadEvents<B> {
  /** The thread has read the body, and is idle. @param buffers of the numbers of the value, which nothing else uses. */
  onRead(body: B, value: unknown, buffers: readonly ArrayBuffer[]): void;
  /** The reader has refused the body, and the thread is idle. */
  onRefused(body: B, error: ServingError): void;
  /** The thread has ended, or is being ended: called once. @param body the body that it was reading. */
  onEnd(body: B | undefined, cause: Error): void;
}

/**
 * Starts a thread for reading bodies. It does not keep the process alive.
 * @param entry the thread's own file: `body-thread.ts`, or its bundle.
 * @param limitMs longest that the thread may take for one body, in milliseconds: then it is ended.
 */
export function startReadingThread<B>(entry: URL, limitMs: number, events: ThreadEvents<B>): ReadingThread<B> {
  const worker = new Worker(entry);
  let body: B | undefined;
  let watchdog: NodeJS.Timeout | undefined;
  let ended = false;

  function takeBody(): B | undefined {
    clearTimeout(watchdog);
    const taken = body;
    body = undefined;
    return taken;
  }

  function end(cause: Error): void {
    if (ended) return;
    ended = true;
    events.onEnd(takeBody(), cause);
  }

  function expire(): void {
    void worker.terminate();
    end(tooSlow(limitMs));
  }

  worker.unref();
  worker.on('message', (result: JobResult) => {
    const read = takeBody();
    // The result arrived after the watchdog had ended the thread.
    if (read === undefined) return;
    if ('value' in result) events.onRead(read, result.value, result.buffers);
    else events.onRefused(read, errorOf(result.error));
  });
  worker.on('error', (cause) => end(outOfMemory(cause) ?? cause));
  worker.on('exit', () => end(new Error('the reading thread ended')));

  return {
    get body() {
      return body;
    },
    read(given, job) {
      worker.postMessage(job, [job.bytes.buffer]);
      body = given;
      watchdog = setTimeout(expire, limitMs).unref();
    },
    terminate: () => void worker.terminate(),
  };
}

function errorOf({ code, message, path }: Extract<JobResult, { error: unknown }>['error']): ServingError {
  return new ServingError(code, message, path === undefined ? {} : { path });
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
