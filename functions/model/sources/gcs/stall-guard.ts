/** Watches a transfer. */
interface StallGuard {
  /** Bytes have arrived: the time starts again. */
  alive(): void;
  stop(): void;
}

/**
 * Calls `onStall` once, after `stallMs` without a byte, since the start or since the last call of `alive`.
 */
export function startStallGuard(stallMs: number, onStall: () => void): StallGuard {
  let aliveAt = performance.now();
  let stopped = false;
  let timer = setTimeout(check, stallMs);

  function check(): void {
    // After a long pause of the process, timers run before the bytes that wait in the socket are read.
    setImmediate(() => {
      if (stopped) return;
      const leftMs = aliveAt + stallMs - performance.now();
      if (leftMs > 0) timer = setTimeout(check, leftMs);
      else onStall();
    });
  }

  return {
    alive: () => {
      aliveAt = performance.now();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
