import { ServingError } from '../../errors.ts';
import type { LoadPhase } from '../../telemetry/metrics/metric-table.ts';

export type { LoadPhase };

/** Where what is not for callers stands. */
export const IN_THE_LOG = "the server's log says why";

const WHEN: Readonly<Record<LoadPhase, string>> = {
  listing: 'before it was fetched',
  fetching: 'while it was fetched',
  loading: 'while it was loaded',
  checking: 'while it was checked against its own files',
  warming: 'while it was warmed up',
};

/**
 * What callers hear of a load that failed: paths, buckets, accounts and other programs' words are for the log.
 * @param phase what the load was doing.
 */
export function tellCaller({ code, message }: ServingError, phase: LoadPhase | undefined): string {
  // Short of memory, or shutting down: these are about the server, and say when to come again.
  if (code === 'NOT_READY' || code === 'DRAINING') return message;
  return `it failed ${WHEN[phase ?? 'loading']}: ${IN_THE_LOG}`;
}

/** What a load ended with, as the one error type: anything else is a failure of the model's. */
export function toLoadError(error: unknown): ServingError {
  return error instanceof ServingError ? error : new ServingError('MODEL_FAILED', String(error), { cause: error });
}
