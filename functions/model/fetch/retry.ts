import { setTimeout as pause } from 'node:timers/promises';
import { backOffMs } from '../../backoff.ts';
import { SourceError } from '../sources/source.ts';

/** How often and how soon `retrying` tries again. */
export interface RetryOptions {
  readonly signal: AbortSignal;
  /** How many attempts, the first included. Default: 6. */
  readonly attempts?: number;
  /** The longest wait after the first failure; it doubles with each further one. Default: 250. */
  readonly firstMs?: number;
  /** The longest wait after any failure. Default: 8000. */
  readonly longestMs?: number;
  /** Called before each wait. */
  readonly onRetry?: (error: SourceError, waitMs: number) => void;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** Gives a number from 0 to below 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** The longest wait that a source can ask for: a start that hangs is harder to understand than one that fails. */
const LONGEST_ASKED_MS = 30_000;

/**
 * Makes attempts until one succeeds. The wait between them is random, from 0 to a bound that doubles, so that many servers that
 * failed at the same moment do not try again at the same moment.
 * @param attempt gets the number of the attempt, from 1 on
 * @throws the attempt's error if it is not a `transient` SourceError; after the last attempt its SourceError, with the number of
 * attempts in the message; the signal's reason when it is aborted
 */
export async function retrying<T>(attempt: (n: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, attempts = 6, firstMs = 250, longestMs = 8_000, onRetry } = options;
  const { random = Math.random, sleep = (ms, signal) => pause(ms, undefined, { signal }) } = options;
  for (let n = 1; ; n++) {
    signal.throwIfAborted();
    try {
      return await attempt(n);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceError) || error.fault !== 'transient') throw error;
      if (n >= attempts) throw exhausted(error, n);
      const drawnMs = random() * backOffMs(n, firstMs, longestMs);
      const askedMs = Math.min(LONGEST_ASKED_MS, (error.waitSeconds ?? 0) * 1_000);
      const waitMs = Math.max(drawnMs, askedMs);
      onRetry?.(error, waitMs);
      await sleep(waitMs, signal).catch((failure) => {
        signal.throwIfAborted();
        throw failure;
      });
    }
  }
}

function exhausted(error: SourceError, attempts: number): SourceError {
  const { waitSeconds } = error;
  const message = `${error.message} (after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'})`;
  return new SourceError('transient', message, { cause: error, ...(waitSeconds !== undefined && { waitSeconds }) });
}
