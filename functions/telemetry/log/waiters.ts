/** Promises that all resolve at the next `wake`, or each after its own timeout. */
interface Waiters {
  /** Resolves at the next `wake`, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<void>;
  /** Resolves all promises. */
  wake(): void;
}

/** Creates an empty set of waiters. */
export function createWaiters(): Waiters {
  let waiting: (() => void)[] = [];
  return {
    wait: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
    wake() {
      for (const done of waiting) done();
      waiting = [];
    },
  };
}
