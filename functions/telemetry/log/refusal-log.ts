import type { Logger } from './logger.ts';

/** Milliseconds between two lines. */
const INTERVAL_MS = 10_000;

/**
 * Logs refused requests in bulk: an overload refuses thousands a second, and a line for each would cost more than refusing it. The
 * first of them is logged at once, the others every ten seconds as long as there are any.
 * @returns the function that counts a refusal under its error code.
 */
export function createRefusalLog(logger: Pick<Logger, 'warning'>): (code: string) => void {
  const counts = new Map<string, number>();
  let isTimerSet = false;

  function report(): void {
    isTimerSet = false;
    if (counts.size === 0) return;
    for (const [code, count] of counts) {
      logger.warning(`refused ${count} more requests with ${code} in the last ${INTERVAL_MS / 1000} s`, {
        code,
        count,
      });
    }
    counts.clear();
    wait();
  }

  function wait(): void {
    isTimerSet = true;
    setTimeout(report, INTERVAL_MS).unref();
  }

  return (code) => {
    if (isTimerSet) {
      counts.set(code, (counts.get(code) ?? 0) + 1);
      return;
    }
    logger.warning(
      `refused a request with ${code}; further ones are counted and logged every ${INTERVAL_MS / 1000} s`,
      {
        code,
        count: 1,
      },
    );
    wait();
  };
}
