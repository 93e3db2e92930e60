/** When to look for a newer model. */
export interface Refresher {
  /** Where CPU exists only during requests a timer would not run: `onRequest` is to be called with each. */
  readonly ridesOnRequests: boolean;
  /** Starts a look that is due. Costs the request nothing but that. */
  onRequest(): void;
  close(): void;
}

/**
 * @param look settles when the look, and what came of it, is over; never rejects.
 * @param everyMs 0: never. Spread by a tenth, so that the instances of a service do not all ask at once.
 * @param onRequests see {@link Refresher.ridesOnRequests}.
 */
export function createRefresher(look: () => Promise<void>, everyMs: number, onRequests: boolean): Refresher {
  const interval = (): number => everyMs * (0.95 + Math.random() / 10);
  let dueAt = performance.now() + interval();
  let looking = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function start(): Promise<void> {
    looking = true;
    await look();
    looking = false;
    dueAt = performance.now() + interval();
    if (!onRequests) arm();
  }

  function arm(): void {
    if (closed) return;
    timer = setTimeout(() => void start(), interval());
    timer.unref();
  }

  const ridesOnRequests = onRequests && everyMs > 0;
  if (!onRequests && everyMs > 0) arm();
  return {
    ridesOnRequests,
    onRequest() {
      if (ridesOnRequests && !looking && !closed && performance.now() >= dueAt) {
        looking = true;
        // Behind the request that came: it goes first.
        setImmediate(() => void start());
      }
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
