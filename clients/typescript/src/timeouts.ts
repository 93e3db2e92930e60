import { ClientError } from './client-error.ts';

/** The caller's signal combined with a time limit. */
interface Deadline {
  /** Aborted by the caller, or when the time is over. */
  readonly signal: AbortSignal;
  /** Remaining milliseconds. */
  left(): number;
  /** Resolves after `ms` milliseconds. @throws the signal's reason once it is aborted. */
  wait(ms: number): Promise<void>;
  /** Clears the timer and the listener on the caller's signal. Must be called. */
  end(): void;
}

/** The longest delay of a timer: one with a longer delay fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Creates a deadline. Without AbortSignal.any and AbortSignal.timeout: Node 20 may collect those as garbage before they fire.
 * @param timeoutMs milliseconds from now; Infinity for none
 */
export function createDeadline(caller: AbortSignal | undefined, timeoutMs: number): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const endsAt = performance.now() + timeoutMs;
  const onAbort = (): void => controller.abort(caller!.reason);
  const onTime = (): void => controller.abort(new ClientError('TIMEOUT', `no response within ${timeoutMs} ms`));
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

/** Aborts a request whose response has no row for too long while one is expected. */
interface IdleWatch {
  /** Aborted by the caller, when no row arrived for too long, or by `end`. */
  readonly signal: AbortSignal;
  /** Sets whether the client waits for the response now: the time in which the caller uses a row does not count. */
  waits(yes: boolean): void;
  /** Aborts the signal, and clears the timer. */
  end(): void;
}

/**
 * Creates a watch of one request.
 * @param timeoutMs longest wait for a row, in milliseconds; Infinity for none
 * @param owedSince `performance.now()` since when a row that was sent waits for its result; undefined if there is none
 */
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
    else controller.abort(new ClientError('TIMEOUT', `no row got a result for ${timeoutMs} ms`));
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

/** Detects that a response does not begin. */
export interface Stall {
  /** `stalled`: the time was over before `end`. */
  state(): 'waiting' | 'stalled' | 'answered';
  /** Settles once the state is `stalled`. */
  readonly over: Promise<void>;
  /** To be called when the response has begun, or is not needed any more. */
  end(): void;
}

/** Creates a detector for one response, which stalls after `ms` milliseconds. */
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
