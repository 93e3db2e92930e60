/** At most one line is logged in this time. */
const EVERY_MS = 10_000;

/**
 * Bounds the lines about connections: a port scanner must not fill the log.
 * @returns a function to be called for each event: the number of events since the last line if a line is due, else undefined.
 */
export function createLogInterval(): () => number | undefined {
  let unlogged = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;
  return () => {
    unlogged += 1;
    const now = performance.now();
    if (now - loggedAt < EVERY_MS) return undefined;
    const count = unlogged;
    unlogged = 0;
    loggedAt = now;
    return count;
  };
}
