import { backOffMs } from '../../backoff.ts';
import { ServingError } from '../../errors.ts';
import type { LoadPhase } from '../../telemetry/metrics/metric-table.ts';

export type { LoadPhase };

/** The end of a message for callers: the reason itself is for the operator. */
export const IN_THE_LOG = "the server's log says why";

const WHEN: Readonly<Record<LoadPhase, string>> = {
  listing: 'when its files were listed',
  fetching: 'while it was fetched',
  loading: 'while it was loaded',
  checking: 'while it was checked against its own files',
  warming: 'while it was warmed up',
};

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** Longer, because a new version that fails takes CPU time from requests. */
const FIRST_UPDATE_RETRY_MS = 60_000;
const LONGEST_UPDATE_RETRY_MS = 3_600_000;

/**
 * The failure of a load, as text for callers: paths, buckets, accounts and texts of other programs are for the log.
 * @param phase of the load when it failed
 */
function describeForCallers({ code, message }: ServingError, phase: LoadPhase | undefined): string {
  // Memory is short, or the server is shutting down: these messages are about the server.
  if (code === 'NOT_READY' || code === 'DRAINING') return message;
  return `it failed ${WHEN[phase ?? 'loading']}: ${IN_THE_LOG}`;
}

/** The error of a load as a ServingError: any other error becomes `MODEL_FAILED`. */
export function toLoadError(error: unknown): ServingError {
  return error instanceof ServingError ? error : new ServingError('MODEL_FAILED', String(error), { cause: error });
}

/** The failed loads of a model that does not serve yet: why the latest failed, and when the next may start. */
export class LoadFailures {
  #latest: ServingError | undefined;
  #reported: string | undefined;
  #failures = 0;
  #retryAt = 0;

  /** The latest failure; undefined if no load has failed since the last `clear`. */
  get latest(): ServingError | undefined {
    return this.#latest;
  }

  /** The latest failure as text for callers. */
  get reported(): string | undefined {
    return this.#reported;
  }

  /** Milliseconds until the next load may start; 0 or less: now. */
  waitMs(): number {
    return this.#retryAt - performance.now();
  }

  /** Records a failed load. @returns whether the model itself is not the cause: memory is short at present. */
  record(error: ServingError, phase: LoadPhase | undefined): boolean {
    const isBusy = error.code === 'NOT_READY';
    this.#latest = error;
    this.#reported = describeForCallers(error, phase);
    if (!isBusy) this.#failures++;
    const busyMs = (error.retryAfter ?? 1) * 1000;
    const waitMs = isBusy ? busyMs : backOffMs(this.#failures, FIRST_RETRY_MS, LONGEST_RETRY_MS);
    this.#retryAt = performance.now() + waitMs;
    return isBusy;
  }

  clear(): void {
    this.#latest = undefined;
    this.#reported = undefined;
    this.#failures = 0;
    this.#retryAt = 0;
  }
}

/** A newer version that failed to load while another serves: it is tried again when it changes, or after a back-off. */
export class RefusedVersion {
  #refused: { stamp: string; times: number; retryAt: number; message: string; reported: string } | undefined;

  /** The failure as text for callers; undefined if there is none. */
  get reported(): string | undefined {
    return this.#refused?.reported;
  }

  /** Whether a version of this stamp must not be tried yet. */
  isBlocked(stamp: string): boolean {
    return this.#refused?.stamp === stamp && performance.now() < this.#refused.retryAt;
  }

  /**
   * Records a failed update.
   * @param stamp of the version; `''` if it was not found
   * @returns whether to log it: that a model has been removed is logged once, not at every refresh.
   */
  record(stamp: string, error: ServingError, phase: LoadPhase | undefined): boolean {
    const before = this.#refused;
    const times = before?.stamp === stamp ? before.times + 1 : 1;
    this.#refused = {
      stamp,
      times,
      retryAt: performance.now() + backOffMs(times, FIRST_UPDATE_RETRY_MS, LONGEST_UPDATE_RETRY_MS),
      message: error.message,
      reported: describeForCallers(error, phase),
    };
    return stamp !== '' || before?.message !== error.message;
  }

  clear(): void {
    this.#refused = undefined;
  }
}
