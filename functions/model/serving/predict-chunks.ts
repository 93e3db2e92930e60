import { setImmediate as turn } from 'node:timers/promises';
import { type Feeds, stackSpans } from '../../engine/batch-rows.ts';
import type { AdmissionOptions, Cancellation, Outcome } from '../../engine/batcher.ts';
import type { Generation } from './generation.ts';

/** Rows of one request that are queued together at most: those of others find a place between them. */
export const CHUNK_ROWS = 256;
/** Chunks of one request that are queued, run or handled at once: what it holds of the queue's memory. */
const CHUNKS_IN_FLIGHT = 4;

/** Rows `first` up to `first + rows` of one of the parts of a request. */
export interface Chunk {
  readonly part: number;
  readonly first: number;
  readonly rows: number;
}

/**
 * Takes the outcomes of a chunk, in the order of its rows. What it throws fails the request.
 * @param cancellation gone once the request is, and once another of its chunks has failed.
 */
export type HandleChunk = (
  chunk: Chunk,
  outcomes: readonly Outcome[],
  cancellation: Cancellation,
) => void | Promise<void>;

/**
 * Runs all rows of a request. A long one goes as bulk work, in chunks of {@link CHUNK_ROWS} rows, a few at a time. Where the
 * queue is full, the first chunk is refused; the others wait, so that what has begun is finished.
 * @param parts feeds that have all rows of the request. Each is cut by itself: rows of different keys share no run.
 * @param handle is called once for each chunk, in the order in which they are done.
 * @throws ServingError what `Generation.predict` or `handle` throws first. It throws at once, and rows of the request that are
 * not in a run by then are never run.
 */
export async function predictChunks(
  live: Pick<Generation, 'predict'>,
  parts: readonly Feeds[],
  cancellation: Cancellation,
  handle: HandleChunk,
): Promise<void> {
  const chunks = cut(parts);
  let next = 0;
  let hasFailed = false;
  const own: Cancellation = {
    get gone() {
      return hasFailed || cancellation.gone;
    },
  };
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const bulk = rows > CHUNK_ROWS || chunks.length > CHUNKS_IN_FLIGHT;

  async function runChunks(): Promise<void> {
    while (next < chunks.length && !hasFailed) {
      const whenFull = next === 0 ? 'refuse' : 'wait';
      const chunk = chunks[next++]!;
      try {
        await runChunk(chunk, { bulk, whenFull });
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  }

  async function runChunk(chunk: Chunk, admission: AdmissionOptions): Promise<void> {
    const part = parts[chunk.part]!;
    const feeds = chunk.rows === part.rows ? part : stackSpans([{ feeds: part, ...chunk }]);
    await handle(chunk, await live.predict(feeds, own, admission), own);
  }

  const running = [runChunks()];
  if (chunks.length > 1) {
    // A refusal is known within a turn: of a refused request nothing else is queued.
    await Promise.race([running[0], turn()]);
    while (running.length < CHUNKS_IN_FLIGHT) running.push(runChunks());
  }
  await Promise.all(running);
}

function cut(parts: readonly Feeds[]): Chunk[] {
  return parts.flatMap(({ rows }, part) =>
    Array.from({ length: Math.ceil(rows / CHUNK_ROWS) }, (_, i) => {
      const first = i * CHUNK_ROWS;
      return { part, first, rows: Math.min(CHUNK_ROWS, rows - first) };
    }),
  );
}
