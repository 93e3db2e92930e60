import { ClientError } from './client-error.ts';
import { LONGEST_TIMER_MS } from './deadline.ts';

/** Ends a request whose answer stands still while it is waited for. */
export interface IdleWatch {
  /** Aborted by the caller, when the answer stood still for too long, or by `end`. */
  readonly signal: AbortSignal;
  /** Whether the answer is waited for at present: a caller that takes its time with a row is not the server's fault. */
  waits(yes: boolean): void;
  /** Closes what is still open, and clears the timer. */
  end(): void;
}

/** @param owedSince when something was sent that is not answered, by `performance.now()` */
export function createIdleWatch(
  caller: AbortSignal,
  timeoutMs: number,
  owedSince: () => number | undefined,
): IdleWatch {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(caller.reason);
  let waitsSince: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (caller.aborted) onAbort();
  else caller.addEventListener('abort', onAbort);

  function look(): void {
    const owed = owedSince();
    const idle = waitsSince === undefined || owed === undefined ? 0 : performance.now() - Math.max(waitsSince, owed);
    if (idle < timeoutMs) timer = setTimeout(look, Math.min(timeoutMs - idle, LONGEST_TIMER_MS));
    else controller.abort(new ClientError('TIMEOUT', `no row was answered for ${timeoutMs} ms`));
  }
  if (timeoutMs !== Number.POSITIVE_INFINITY) timer = setTimeout(look, Math.min(timeoutMs, LONGEST_TIMER_MS));

  return {
    signal: controller.signal,
    waits(yes) {
      waitsSince = yes ? performance.now() : undefined;
    },
    end() {
      clearTimeout(timer);
      caller.removeEventListener('abort', onAbort);
      controller.abort();
    },
  };
}
