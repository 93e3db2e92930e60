import type { TestContext } from 'node:test';

interface Timer {
  at: number;
  readonly ms: number;
  readonly repeats: boolean;
  run(): void;
}

/**
 * Replaces the global timers until the test ends. Those of node:test do nothing at `refresh()`, by which idle timers start
 * again.
 * @returns moves the time on by milliseconds, and calls the timers that are due then, in their order.
 */
export function mockTimers(t: TestContext): (ms: number) => void {
  const active = new Set<Timer>();
  let now = 0;

  const start =
    (repeats: boolean) =>
    (callback: (...given: unknown[]) => void, ms = 0, ...given: unknown[]): NodeJS.Timeout => {
      const timer = {
        at: now + ms,
        ms,
        repeats,
        run: () => callback(...given),
        ref: () => timer,
        unref: () => timer,
        refresh() {
          timer.at = now + ms;
          active.add(timer);
          return timer;
        },
      };
      active.add(timer);
      return timer as unknown as NodeJS.Timeout;
    };
  for (const [set, clear, repeats] of [
    ['setTimeout', 'clearTimeout', false],
    ['setInterval', 'clearInterval', true],
  ] as const) {
    const original = globalThis[clear];
    t.mock.method(globalThis, set, start(repeats) as never);
    t.mock.method(globalThis, clear, (timer?: NodeJS.Timeout) => {
      if (!active.delete(timer as unknown as Timer)) original(timer);
    });
  }

  return (ms) => {
    const end = now + ms;
    for (;;) {
      const [next] = [...active].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      now = next.at;
      if (next.repeats) next.at += Math.max(1, next.ms);
      else active.delete(next);
      next.run();
    }
    now = end;
  };
}
