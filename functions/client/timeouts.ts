import { ClientError } from './client-error.ts';

/** The caller's signal and a time limit as one. */
export interface Deadline {
  /** Aborted by the caller, when the time is over, or by `end`. */
  readonly signal: AbortSignal;
  /** Milliseconds that are left. */
  left(): number;
  /** @throws the signal's reason once it is aborted. */
  wait(ms: number): Promise<void>;
  /** Clears the timer and the listener at the caller's signal. To be called in every case. */
  end(): void;
}

/** A timer that is set for longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

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

/** Ends a request in whose answer no row arrives while one is waited for. */
export interface IdleWatch {
  /** Aborted by the caller, when no row arrived for too long, or by `end`. */
  readonly signal: AbortSignal;
  /** Whether the answer is waited for at present: the time that a caller takes for a row does not count. */
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

  function check(): void {
    const owed = owedSince();
    const idle = waitsSince === undefined || owed === undefined ? 0 : performance.now() - Math.max(waitsSince, owed);
    if (idle < timeoutMs) timer = setTimeout(check, Math.min(timeoutMs - idle, LONGEST_TIMER_MS));
    else controller.abort(new ClientError('TIMEOUT', `no row was answered for ${timeoutMs} ms`));
  }
  if (timeoutMs !== Number.POSITIVE_INFINITY) timer = setTimeout(check, Math.min(timeoutMs, LONGEST_TIMER_MS));

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

/** Finds out that an answer does not begin. */
export interface Stall {
  state(): 'waiting' | 'stalled' | 'answered';
  /** Settles once it has stalled. */
  readonly over: Promise<void>;
  /** The response has begun, or is no longer wanted. */
  end(): void;
}

export function createStall(ms: number): Stall {
  let state: ReturnType<Stall['state']> = 'waiting';
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      state = 'stalled';
      resolve();
    }, ms);
  });
  return {
    state: () => state,
    over,
    end() {
      if (state === 'waiting') state = 'answered';
      clearTimeout(timer);
    },
  };
}
