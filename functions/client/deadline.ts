import { ClientError } from './client-error.ts';

/** The caller's signal and a time limit as one. */
export interface Deadline {
  /** Aborted by the caller, when the time is over, or by `end`. */
  readonly signal: AbortSignal;
  /** Milliseconds that are left. */
  left(): number;
  /** @throws the signal's reason once it is aborted. */
  wait(ms: number): Promise<void>;
  /** Lets go of the timer and the caller's signal. To be called in every case. */
  end(): void;
}

/** A timer that is set for longer goes off at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Not by AbortSignal.any and AbortSignal.timeout: Node 20 may collect those as garbage before their time is over.
 * @param timeoutMs Infinity for none
 */
export function createDeadline(caller: AbortSignal | undefined, timeoutMs: number): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const endsAt = performance.now() + timeoutMs;
  const onAbort = (): void => controller.abort(caller!.reason);
  const onTime = (): void => controller.abort(new ClientError('TIMEOUT', `no answer within ${timeoutMs} ms`));
  let timer: ReturnType<typeof setTimeout> | undefined;
  function arm(): void {
    const left = endsAt - performance.now();
    if (left <= 0) onTime();
    else if (left !== Number.POSITIVE_INFINITY) timer = setTimeout(arm, Math.min(left, LONGEST_TIMER_MS));
  }
  arm();
  if (caller?.aborted) onAbort();
  else caller?.addEventListener('abort', onAbort, { once: true });
  return {
    signal,
    left: () => endsAt - performance.now(),
    wait: (ms) => wait(ms, signal),
    end() {
      clearTimeout(timer);
      caller?.removeEventListener('abort', onAbort);
    },
  };
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
