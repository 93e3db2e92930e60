export interface StallGuard {
  /** Bytes have come. */
  alive(): void;
  stop(): void;
}

/**
 * Calls `onStall` once, after a time without a byte.
 * @param stallMs that time, from the start or from the last call of `alive`.
 */
export function startStallGuard(stallMs: number, onStall: () => void): StallGuard {
  let aliveAt = performance.now();
  let stopped = false;
  let timer = setTimeout(check, stallMs);

  function check(): void {
    // After a long pause of the whole process timers run first, and only then come the bytes that wait in the socket.
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
