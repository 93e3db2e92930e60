/** The least bytes of a row that are progress, without its end: a byte now and then is as good as nothing. */
const LEAST_BYTES = 16_384;

/** Measures the time in which nothing progresses in a stream. */
interface IdleTimer {
  /** To be called for progress, such as a complete row; the first call starts the timer. */
  refresh(): void;
  /** To be called with the bytes of each piece of the body. */
  onPiece(bytes: number): void;
  /** What was sent since the last progress, in words. */
  sent(): string;
  end(): void;
}

/** @param onIdle called after each idle time without progress. */
export function createIdleTimer(idleMs: number, onIdle: () => void): IdleTimer {
  let arrived = 0;
  let timer: NodeJS.Timeout | undefined;

  function refresh(): void {
    arrived = 0;
    if (timer === undefined) timer = setTimeout(onIdle, idleMs);
    else timer.refresh();
  }

  return {
    refresh,
    onPiece(bytes) {
      arrived += bytes;
      if (arrived >= LEAST_BYTES) refresh();
    },
    sent: () => (arrived === 0 ? 'nothing' : `neither a row nor ${LEAST_BYTES} bytes of one`),
    end: () => clearTimeout(timer),
  };
}
