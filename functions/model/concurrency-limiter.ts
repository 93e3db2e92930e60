/** Runs work, in the order of the calls, as soon as less than the limit is running. It settles as the work does. */
type Limiter = <T>(work: () => Promise<T>) => Promise<T>;

/** Creates a limiter. @param limit how many pieces of work may run at a time, at least 1. */
export function createLimiter(limit: number): Limiter {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < limit) running++;
    // Work that ends passes its place to the first that waits, so that work that is added meanwhile does not overtake it.
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
