/** Runs work, in the order in which it was given, as soon as fewer than the limit are running. */
export type Limiter = <T>(work: () => Promise<T>) => Promise<T>;

/** @param limit how many pieces of work may run at a time. */
export function createLimiter(limit: number): Limiter {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < limit) running++;
    // Work that ends passes its place to the first that waits: work that is added meanwhile must not overtake it.
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
