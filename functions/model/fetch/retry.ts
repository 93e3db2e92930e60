import { setTimeout as pause } from 'node:timers/promises';
import { backOffMs } from '../../backoff.ts';
import { SourceError } from '../sources/source.ts';

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** In all, with the first one; 6 where it is not given. */
  readonly attempts?: number;
  /** The longest wait after the first failure; doubles with each further one. 250 where it is not given. */
  readonly firstMs?: number;
  /** 8000 where it is not given. */
  readonly longestMs?: number;
  /** Called before each wait. */
  readonly onRetry?: (error: SourceError, waitMs: number) => void;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

/** A source that asks for a longer wait does not get it: a start that hangs is harder to understand than one that fails. */
const LONGEST_ASKED_MS = 30_000;

/**
 * Makes attempts until one succeeds, with a wait between them that doubles, drawn at random from 0 to its whole: many
 * servers that failed at the same moment do not try again at the same moment.
 * @param attempt gets its number, from 1.
 * @throws SourceError as the attempt threw it where it is not `transient`, or with the number of attempts behind its
 * message; the signal's reason once it is aborted; anything else that the attempt throws, as it is.
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
