/** Promises that all resolve at the next `wake`, or each after its own time. */
export interface Waiters {
  wait(timeoutMs: number): Promise<void>;
  wake(): void;
}

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
