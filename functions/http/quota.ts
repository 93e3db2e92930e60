import { setTimeout as delay } from 'node:timers/promises';
import type { Quota } from '../access/quota.ts';
import type { RequestContext } from './request-context.ts';

/** Counts a request against the quota of its caller until the response is closed. @throws ServingError `QUOTA_EXCEEDED` */
export function startRequest({ res }: Pick<RequestContext, 'res'>, quota: Quota): void {
  quota.start();
  if (!quota.limitsConcurrency) return;
  if (res.closed) quota.end();
  else res.once('close', () => quota.end());
}

/** Charges rows, once they are decoded, to the quota of the caller. @throws ServingError `QUOTA_EXCEEDED`; nothing may be run then. */
export const chargeRows = ({ caller }: Pick<RequestContext, 'caller'>, rows: number): void =>
  caller?.quota?.chargeRows(rows);

/**
 * Charges rows of a stream to the quota of the caller, and waits until it is their turn. A stream that exceeds the quota is slowed
 * down, not refused: its status has been sent.
 * @param ended ends the wait.
 * @returns undefined if they need not wait, else a promise, which never rejects.
 */
export function delayRows(
  { caller }: Pick<RequestContext, 'caller'>,
  rows: number,
  ended: AbortSignal,
): Promise<void> | undefined {
  const ms = caller?.quota?.delayRows(rows) ?? 0;
  return ms === 0 ? undefined : delay(ms, undefined, { ref: false, signal: ended }).catch(() => {});
}
