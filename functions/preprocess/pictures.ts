import { fileURLToPath } from 'node:url';
import { createBatcher, type Outcome, type Runner } from '../engine/batcher.ts';
import { createPool, type Pool } from '../engine/pool.ts';
import type { PicturePreparation } from '../engine/prepared/preparation.ts';
import { RunError } from '../engine/process/engine-process.ts';
import { spawnProgram } from '../engine/process/spawn.ts';
import { ServingError } from '../errors.ts';
import type { TensorSpec } from '../tensor/tensor.ts';
import { createPictureTurns, inTurns } from './picture-turns.ts';
import type { PreparedRow, Preprocessor, PreprocessorOptions } from './preprocessor.ts';
import { type PictureOrder, planPictures } from './process/picture-order.ts';

const ENTRY = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './process/picture-worker.ts' : './picture.js', import.meta.url),
);
/** The input that callers see: the bytes of a picture's file. */
const IMAGE: TensorSpec = { name: 'image', dtype: 'string', shape: [-1], bytes: true };
/** The most that a picture may take to decode and resize: then its process is killed. 50 million pixels take 2 s. */
const RUN_TIMEOUT_MS = 20_000;

/** What bounds the processes that decode. */
type PictureOptions = Omit<PreprocessorOptions, 'runTimeoutMs' | 'engine' | 'manifest'>;

/**
 * Starts the processes that decode pictures. Each picture is a run of its own.
 * @param runTimeoutMs that a picture may take
 * @throws RunError if sharp does not load
 */
export async function createPicturePreprocessor(
  { settings, background }: PicturePreparation,
  { capacity, processes, pictureTurns, maxQueueSize, onRestart }: PictureOptions,
  runTimeoutMs = RUN_TIMEOUT_MS,
): Promise<Preprocessor> {
  const { limits, resizeBytes } = planPictures(capacity);
  const order: PictureOrder = { geometry: settings.geometry, background, limits, resizeBytes };
  const pool = createPool({
    size: processes,
    order,
    spawn: () => spawnProgram(ENTRY),
    runTimeoutMs,
    ...(onRestart !== undefined && { onRestart }),
  });
  try {
    await pool.start();
  } catch (error) {
    await pool.close();
    throw error;
  }
  pool.grow([]);
  const runner = inTurns(runnerOf(pool), pictureTurns ?? createPictureTurns(processes));
  const batcher = createBatcher(runner, {
    join: true,
    maxBatchSize: 1,
    delayMs: 0,
    maxQueueSize,
    fault: () => faultOf(pool),
  });
  return {
    signature: (engine) => ({ ...engine, inputs: [IMAGE] }),
    async prepare(feeds, terms, options) {
      const outcomes = await batcher.predict(feeds, terms, options);
      return outcomes.map((outcome) => rowOf(outcome, runTimeoutMs));
    },
    sample: async () => undefined,
    refuse: batcher.refuse,
    depth: batcher.depth,
    processes: pool,
    close() {
      runner.leave();
      return pool.close();
    },
  };
}

/** Runs take one picture: its text of bytes becomes bytes when it leaves the queue, which needs rows of one shape. */
function runnerOf(pool: Pool): Runner {
  return {
    ...pool,
    run([image]) {
      const bytes = Buffer.from((image!.parts as string[][]).flat()[0]!, 'latin1');
      return pool.run([{ slot: 0, dtype: 'uint8', dims: [1, bytes.length], parts: [bytes] }]);
    },
  };
}

function rowOf(outcome: Outcome, runTimeoutMs: number): PreparedRow {
  if ('error' in outcome) return { error: describeFailure(outcome.error, runTimeoutMs) };
  const [pixels, error] = outcome.outputs;
  const text = error!.data[0] as string;
  if (text !== '') return { error: new ServingError('INVALID_INPUT', text) };
  return { feeds: { tensors: [pixels!], rows: 1 } };
}

/** The batcher's words are about a model. */
function describeFailure(error: ServingError, runTimeoutMs: number): ServingError {
  const { code, cause } = error;
  if (!(cause instanceof RunError)) return error;
  const what =
    cause.fault === 'timed-out'
      ? `the picture: it takes more than ${runTimeoutMs / 1000} s to decode and resize; send a smaller one`
      : 'the picture: the process that decoded it ended';
  return new ServingError(code, what, { detail: cause.message, cause });
}

function faultOf(pool: Pool): ServingError | undefined {
  const fault = pool.fault();
  if (fault?.persists !== true) return undefined;
  const message = 'the processes that decode pictures keep ending, and are replaced: the reason is in the log';
  const retryAfter = Math.ceil(fault.retryInMs / 1000) || 1;
  return new ServingError('NOT_READY', message, { retryAfter, detail: fault.reason });
}
