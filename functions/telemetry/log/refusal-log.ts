import type { Logger } from './logger.ts';

/** Milliseconds between two lines. */
const INTERVAL_MS = 10_000;

/**
 * Logs refused requests in bulk: an overload refuses thousands a second, and a line for each would cost more than refusing it. The
 * first of them is logged at once, the others every ten seconds as long as there are any.
 * @returns the function that counts a refusal under its error code and, if it concerns one caller alone, the caller's name.
 */
export function createRefusalLog(logger: Pick<Logger, 'warning'>): (code: string, caller?: string) => void {
  const counts = new Map<string, { code: string; caller?: string; count: number }>();
  let isTimerSet = false;

  function report(): void {
    isTimerSet = false;
    if (counts.size === 0) return;
    for (const fields of counts.values()) {
      const { code, count } = fields;
      logger.warning(`refused ${count} more requests with ${code} in the last ${INTERVAL_MS / 1000} s`, fields);
    }
    counts.clear();
    wait();
  }

  function wait(): void {
    isTimerSet = true;
    setTimeout(report, INTERVAL_MS).unref();
  }

  return (code, caller) => {
    const key = `${code} ${caller ?? ''}`;
    const counted = counts.get(key);
    if (counted !== undefined) {
      counted.count += 1;
      return;
    }
    const fields = { code, ...(caller !== undefined && { caller }), count: 1 };
    if (isTimerSet) {
      counts.set(key, fields);
      return;
    }
    const message = `refused a request with ${code}; further ones are counted and logged every ${INTERVAL_MS / 1000} s`;
    logger.warning(message, fields);
    wait();
  };
}
