import { fileURLToPath } from 'node:url';
import type { Feeds } from '../engine/batch-rows.ts';
import { type AdmissionOptions, createBatcher, type RequestTerms } from '../engine/batcher.ts';
import { createPool, type PoolFault } from '../engine/pool.ts';
import type { TextPreparation } from '../engine/prepared/preparation.ts';
import { RunError } from '../engine/process/engine-process.ts';
import { spawnProgram } from '../engine/process/spawn.ts';
import { ServingError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Preprocessor, PreprocessorOptions } from './preprocessor.ts';
import type { LoadedTokenizer } from './process/text-frames.ts';

const source = import.meta.url.endsWith('.ts');
const ENTRY = fileURLToPath(new URL(source ? './process/text-worker.ts' : './text.js', import.meta.url));
/** Rows of one call. Their results are padded to the longest of them. */
const MOST_ROWS = 64;
/** Bytes of texts in one call of several rows, so that a long text delays few others. */
const MOST_BYTES = 2 ** 18;
/** The longest text that is taken needs about a second. */
const RUN_MS = 30_000;
const LOAD_MS = 60_000;

/** The result of a row: row `at` of the tensors of `text-frames.ts`; or its error. */
export type TokenizerRow =
  | { readonly outputs: readonly Tensor[]; readonly at: number }
  | { readonly error: ServingError };

/** Processes that tokenize the texts of one model, and their queue. */
export interface Tokenizers extends LoadedTokenizer, Pick<Preprocessor, 'refuse' | 'depth' | 'processes'> {
  /**
   * @param feeds requests of `text-frames.ts`
   * @returns for each row, in their order, its result
   * @throws ServingError as `Batcher.predict` does; `NOT_READY` if the processes keep ending
   */
  run(feeds: Feeds, terms: RequestTerms, options?: AdmissionOptions): Promise<TokenizerRow[]>;
  close(): Promise<void>;
}

/**
 * Starts the processes, and settles when the first has loaded `tokenizer.json`.
 * @throws ServingError `MODEL_FAILED` that names the file
 */
export async function openTokenizers(preparation: TextPreparation, options: PreprocessorOptions): Promise<Tokenizers> {
  const { processes, maxQueueSize, onRestart } = options;
  const pool = createPool({
    size: processes,
    order: preparation,
    spawn: () => spawnProgram(ENTRY),
    runTimeoutMs: RUN_MS,
    loadTimeoutMs: LOAD_MS,
    ...(onRestart !== undefined && { onRestart }),
  });
  const loaded = await pool.start().catch(async (cause: Error) => {
    await pool.close();
    throw loadError(preparation.place, cause);
  });
  pool.grow([]);
  const batcher = createBatcher(pool, {
    join: true,
    maxBatchSize: MOST_ROWS,
    maxBatchBytes: MOST_BYTES,
    delayMs: 0,
    maxQueueSize,
    fault() {
      const fault = pool.fault();
      return fault?.persists === true ? processesKeepEnding(fault) : undefined;
    },
  });
  return {
    vocabularySize: (loaded as unknown as LoadedTokenizer).vocabularySize,
    async run(feeds, terms, admission) {
      const fault = pool.fault();
      if (fault !== undefined) throw processesKeepEnding(fault);
      const outcomes = await batcher.predict(feeds, terms, admission);
      return outcomes.flatMap((outcome): TokenizerRow[] => {
        if ('error' in outcome) return Array(outcome.rows).fill({ error: rowError(outcome.error) });
        const { rows, outputs, first } = outcome;
        return Array.from({ length: rows }, (_, row) => ({ outputs, at: first + row }));
      });
    },
    refuse: batcher.refuse,
    depth: batcher.depth,
    processes: pool,
    close: pool.close,
  };
}

/** @param cause of a load that failed: its message names the file, unless the process has ended */
function loadError(place: string, cause: Error): ServingError {
  const hasReason = cause instanceof RunError && cause.fault === 'failed';
  const reason = `does not load: ${cause.message}: export the tokenizer again`;
  const message = hasReason && cause.message.startsWith(place) ? cause.message : `${place} ${reason}`;
  return new ServingError('MODEL_FAILED', message, { cause });
}

/** The error of a row whose process has failed on it, or has ended. */
function rowError(error: ServingError): ServingError {
  const message = 'the text cannot be tokenized: the process that does it failed on it';
  return error.code === 'MODEL_FAILED'
    ? new ServingError(error.code, message, { detail: error.message, cause: error })
    : error;
}

function processesKeepEnding({ retryInMs, reason }: PoolFault): ServingError {
  const message = 'the processes that tokenize texts keep ending, and are replaced: the log says why';
  return new ServingError('NOT_READY', message, { retryAfter: Math.ceil(retryInMs / 1000) || 1, detail: reason });
}
