import { setImmediate as turn } from 'node:timers/promises';
import { type Feeds, stackSpans } from '../../engine/batch-rows.ts';
import type { AdmissionOptions, Cancellation, Outcome, RequestTerms } from '../../engine/batcher.ts';
import type { Generation } from './generation.ts';

/** The most rows of one request that are queued together, so that rows of other requests can be queued between them. */
export const CHUNK_ROWS = 256;
/** How many chunks of one request are queued, run or handled at once: this bounds their memory. */
const CHUNKS_IN_FLIGHT = 4;

/** Rows `first` to `first + rows` (exclusive) of one of the parts of a request. */
export interface Chunk {
  readonly part: number;
  readonly first: number;
  readonly rows: number;
}

/**
 * Handles the outcomes of a chunk, in the order of its rows. An error that it throws fails the request.
 * @param cancellation cancelled with the request, and when another of its chunks has failed
 */
type HandleChunk = (chunk: Chunk, outcomes: readonly Outcome[], cancellation: Cancellation) => void | Promise<void>;

/**
 * Runs all rows of a request. A long one is bulk work, in chunks of {@link CHUNK_ROWS} rows, a few at a time. Only its first chunk may
 * be refused: a request that has begun is finished.
 * @param parts feeds with all rows of the request. Each part has its own chunks: rows of different keys share no run.
 * @param handle called once for each chunk, in the order in which they finish
 * @throws ServingError the first error of `Generation.predict` or `handle`, at once. Rows of the request that are not in a run by
 * then do not run.
 */
export async function predictChunks(
  live: Pick<Generation, 'predict'>,
  parts: readonly Feeds[],
  terms: RequestTerms,
  handle: HandleChunk,
): Promise<void> {
  const chunks = chunksOf(parts);
  let next = 0;
  let hasFailed = false;
  const { deadline, priority, caller } = terms;
  const own: RequestTerms = {
    deadline,
    priority,
    caller,
    get cancelled() {
      return hasFailed || terms.cancelled;
    },
  };
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const bulk = rows > CHUNK_ROWS || chunks.length > CHUNKS_IN_FLIGHT;

  async function runChunks(): Promise<void> {
    while (next < chunks.length && !hasFailed) {
      const begun = next > 0;
      const chunk = chunks[next++]!;
      try {
        await runChunk(chunk, { bulk, begun });
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
    // A refusal is known within a turn, so that no other chunk of a refused request is queued.
    await Promise.race([running[0], turn()]);
    while (running.length < CHUNKS_IN_FLIGHT) running.push(runChunks());
  }
  await Promise.all(running);
}

function chunksOf(parts: readonly Feeds[]): Chunk[] {
  return parts.flatMap(({ rows }, part) =>
    Array.from({ length: Math.ceil(rows / CHUNK_ROWS) }, (_, i) => {
      const first = i * CHUNK_ROWS;
      return { part, first, rows: Math.min(CHUNK_ROWS, rows - first) };
    }),
  );
}
