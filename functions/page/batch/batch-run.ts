import { Failure, send } from '../failure.ts';
import type { Line, LineMaker } from './rows.ts';

/** The progress of a file. */
export interface BatchProgress {
  /** Bytes of the file whose rows have a result. */
  readonly bytes: number;
  /** Rows that have a result. */
  readonly rows: number;
  /** Rows whose result is an error. */
  readonly failed: number;
}

/** Where a file is sent, and what is reported. */
interface BatchOptions {
  /** The address of `/batch_predict`. */
  readonly url: string;
  readonly maker: LineMaker;
  /** Ends the run. */
  readonly signal: AbortSignal;
  onProgress(progress: BatchProgress): void;
  /** Called with the results of some rows, as NDJSON, with their indexes in the file, and these rows. */
  onResults(ndjson: string, lines: readonly Line[]): void;
}

/** Most rows of a request, and about as many characters: a browser can't stream a request's body. */
const ROWS = 500;
const CHARACTERS = 2 ** 20;
const TRIES = 6;
const LONGEST_WAIT_MS = 5000;

/**
 * Sends the rows of a file, one request after the other, and passes on their results. The memory does not grow with the file.
 * @returns the final progress.
 * @throws Failure, or the reason of `signal`.
 */
export async function runBatch(file: Blob, options: BatchOptions): Promise<BatchProgress> {
  const { maker, signal, onProgress, onResults } = options;
  const decoder = new TextDecoder('utf-8');
  const reader = file.stream().getReader();
  let lines: Line[] = [];
  let characters = 0;
  let progress: BatchProgress = { bytes: 0, rows: 0, failed: 0 };
  /** Bytes of the file that the rows so far took. */
  let taken = 0;

  async function flush(): Promise<void> {
    if (lines.length === 0) return;
    const failed = await sendLines(lines, progress.rows, options, onResults);
    progress = { bytes: Math.round(taken), rows: progress.rows + lines.length, failed: progress.failed + failed };
    lines = [];
    characters = 0;
    onProgress(progress);
  }

  async function take(made: readonly Line[], bytes: number): Promise<void> {
    const before = taken;
    for (const [i, line] of made.entries()) {
      lines.push(line);
      characters += line.body.length;
      taken = before + (bytes * (i + 1)) / made.length;
      if (lines.length >= ROWS || characters >= CHARACTERS) await flush();
    }
    taken = before + bytes;
  }

  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      signal.throwIfAborted();
      await take(maker.push(decoder.decode(piece.value, { stream: true })), piece.value.length);
    }
    await take(maker.push(decoder.decode()), 0);
    await take(maker.end(), 0);
    await flush();
  } finally {
    await reader.cancel().catch(() => {});
  }
  if (progress.rows === 0) throw new Failure('This file has no rows.');
  progress = { ...progress, bytes: file.size };
  onProgress(progress);
  return progress;
}

/** Sends rows until all have a result: a server may end a response early, or refuse with `Retry-After`. @returns how many failed. */
async function sendLines(
  lines: readonly Line[],
  first: number,
  { url, signal }: BatchOptions,
  onResults: BatchOptions['onResults'],
): Promise<number> {
  let done = 0;
  let failed = 0;
  for (let tries = 1; done < lines.length; ) {
    let results: Results;
    try {
      const bodies = lines.slice(done).map((line) => line.body);
      const body = `${bodies.join('\n')}\n`;
      const response = await send(url, 'application/x-ndjson', body, signal);
      results = readResults(await response.text(), first + done);
    } catch (error) {
      if (!(error instanceof Failure) || error.retryAfter === undefined || tries++ === TRIES) throw error;
      await pause(Math.min(error.retryAfter * 1000, LONGEST_WAIT_MS), signal);
      continue;
    }
    onResults(results.text, lines.slice(done, done + results.rows));
    failed += results.failed;
    done += results.rows;
    if (done < lines.length && results.rows === 0 && tries++ === TRIES)
      throw new Failure('The server sends no further results.');
  }
  return failed;
}

interface Results {
  readonly text: string;
  readonly rows: number;
  readonly failed: number;
}

const ROW = /^\{"index":(\d+),("error":)?/;

/** The rows of a response, with `first` added to their indexes. The lines are not parsed completely. */
export function readResults(ndjson: string, first: number): Results {
  let text = '';
  let rows = 0;
  let failed = 0;
  for (const line of ndjson.split('\n')) {
    const found = ROW.exec(line);
    if (found === null) continue;
    rows++;
    if (found[2] !== undefined) failed++;
    text += `{"index":${first + Number(found[1])}${line.slice('{"index":'.length + found[1]!.length)}\n`;
  }
  return { text, rows, failed };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
