import type { Clock } from '../../functions/cli/loadtest/generator/clock.ts';
import type { Connect } from '../../functions/cli/loadtest/http/connection.ts';

/** A clock whose time passes when `run` is called: timers run in the order of their times, and take no time. */
export function createSimulatedClock(): Clock & { run(): void; delay(ms: number): void } {
  const timers = new Set<{ at: number; order: number; call: () => void }>();
  let [now, order] = [0, 0];
  return {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + Math.max(0, ms), order: order++, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    /** Runs all timers, those too that they set. */
    run() {
      for (let steps = 0; timers.size > 0; steps += 1) {
        if (steps > 1e6) throw new Error('the timers do not end');
        const next = [...timers].reduce((a, b) => (b.at < a.at || (b.at === a.at && b.order < a.order) ? b : a));
        timers.delete(next);
        now = Math.max(now, next.at);
        next.call();
      }
    },
    /** The program is busy for so long: its timers are late. */
    delay(ms) {
      now += ms;
    },
  };
}

type SimulatedResponse = { readonly status: number; readonly retryAfter?: number } | 'close' | undefined;

interface ServerOptions {
  /** Time of a request on one of the workers. */
  readonly serviceMs: number;
  readonly workers?: number;
  /** The server does nothing from `from` to `to`, in ms. */
  readonly pause?: { readonly from: number; readonly to: number };
  /** The response of a request; undefined: none, ever. 'close': the connection is closed in place of it. */
  readonly respond?: (nth: number) => SimulatedResponse;
}

/** A server on a simulated clock: requests queue for its workers, first come, first served. */
export function createSimulatedServer(clock: Clock, options: ServerOptions) {
  const { serviceMs, workers = 1, pause, respond = (): SimulatedResponse => ({ status: 200 }) } = options;
  const freeAt = new Array<number>(workers).fill(0);
  let [requests, opened, open] = [0, 0, 0];
  const sentAt: number[] = [];

  /** When a request that arrives now is done. */
  function schedule(): number {
    const at = freeAt.indexOf(Math.min(...freeAt));
    let start = Math.max(clock.now(), freeAt[at]!);
    if (pause !== undefined && start >= pause.from && start < pause.to) start = pause.to;
    freeAt[at] = start + serviceMs;
    return freeAt[at]!;
  }

  const connect: Connect = (_, events) => {
    let isClosed = false;
    opened += 1;
    open += 1;
    const close = (): void => {
      if (isClosed) return;
      isClosed = true;
      open -= 1;
      clock.after(0, () => events.onClose(undefined, false));
    };
    clock.after(0, () => !isClosed && events.onOpen?.());
    return {
      send() {
        sentAt.push(clock.now());
        const response = respond(requests++);
        clock.after(schedule() - clock.now(), () => {
          if (isClosed || response === undefined) return;
          if (response === 'close') return close();
          events.onResponse(response.status, false, response.retryAfter ?? Number.NaN);
        });
        return true;
      },
      onDrain() {},
      destroy: close,
    };
  };
  return { connect, requests: () => requests, opened: () => opened, open: () => open, sentAt };
}
