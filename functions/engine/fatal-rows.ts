import { createHash } from 'node:crypto';
import { ServingError } from '../errors.ts';
import { joinRows, type Span } from './batch-rows.ts';
import { servingErrorOf } from './failed-run.ts';
import { RunError } from './process/engine-process.ts';
import { packTexts } from './process/frame.ts';

/**
 * The rows that have ended their engine process. A client that repeats such a row would end a process each time, so the same bytes
 * are refused for a while.
 */
export interface FatalRows {
  /** Whether no row is refused now: then `find` need not be called. */
  isEmpty(): boolean;
  /** Records a row that was alone in a run that failed with `error`. @returns the error of the row. */
  record(row: Span, error: unknown): ServingError;
  /** Returns the error with which the row is refused, undefined if it may run. @param row exactly one row. */
  find(row: Span): ServingError | undefined;
}

/** A row that did not cause the end of its process is refused no longer than that. */
const REFUSED_MS = 300_000;
/** Each entry costs an engine process, so that a short list is enough. */
const MAX_ROWS = 256;
/** The end of a process by its own fault is certain to be due to the row. A timeout, or a signal from outside, is so if it is repeated. */
const ENOUGH = 2;

/** @param now a monotonic clock in milliseconds */
export function createFatalRows(now = (): number => performance.now()): FatalRows {
  // In the order of their expiry.
  const rows = new Map<string, { readonly until: number; readonly evidence: number; readonly error: ServingError }>();

  function removeExpired(): void {
    for (const [digest, { until }] of rows) {
      if (until > now() && rows.size <= MAX_ROWS) return;
      rows.delete(digest);
    }
  }

  return {
    isEmpty() {
      removeExpired();
      // A row that may run once more must not cost a digest of all others meanwhile.
      return ![...rows.values()].some(({ evidence }) => evidence >= ENOUGH);
    },
    record(row, error) {
      const failure = servingErrorOf(error);
      if (!(error instanceof RunError) || error.fault === 'failed') return failure;
      const digest = digestOf(row);
      const evidence = (rows.get(digest)?.evidence ?? 0) + (error.ofItself ? ENOUGH : 1);
      const text = `${failure.message}; the same row is not run again within ${REFUSED_MS / 60_000} minutes`;
      rows.delete(digest);
      rows.set(digest, {
        until: now() + REFUSED_MS,
        evidence,
        error: new ServingError(failure.code, text, { cause: error }),
      });
      removeExpired();
      return failure;
    },
    find(row) {
      const found = rows.get(digestOf(row));
      return found !== undefined && found.evidence >= ENOUGH && found.until > now() ? found.error : undefined;
    },
  };
}

/** Of dtypes, shapes and bytes: linear in the bytes of the row. */
function digestOf(row: Span): string {
  const hash = createHash('sha256');
  for (const { dtype, dims, parts } of joinRows([row])) {
    hash.update(`${dtype}[${dims}]`);
    if (dtype === 'string') hash.update(packTexts(parts));
    else for (const part of parts) hash.update(part as Uint8Array);
  }
  return hash.digest('base64');
}
