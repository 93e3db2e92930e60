/** Checks for newer models at intervals. */
export interface Refresher {
  /** Where CPU exists only during requests a timer would not run: `onRequest` is to be called with each. */
  readonly ridesOnRequests: boolean;
  /** Starts a check that is due. Costs the request nothing but that. */
  onRequest(): void;
  close(): void;
}

/**
 * @param refresh begins a check, whether or not the updates of an earlier one have ended; never rejects.
 * @param everyMs 0: never. Spread by a tenth, so that the instances of a service do not all list the models at once.
 * @param onRequests see {@link Refresher.ridesOnRequests}.
 */
export function createRefresher(refresh: () => Promise<void>, everyMs: number, onRequests: boolean): Refresher {
  const interval = (): number => everyMs * (0.95 + Math.random() / 10);
  const ridesOnRequests = onRequests && everyMs > 0;
  let dueAt = performance.now() + interval();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function arm(): void {
    timer = setTimeout(() => {
      arm();
      void refresh();
    }, interval());
    timer.unref();
  }

  if (!onRequests && everyMs > 0) arm();
  return {
    ridesOnRequests,
    onRequest() {
      if (!ridesOnRequests || closed || performance.now() < dueAt) return;
      dueAt = performance.now() + interval();
      // After the request that came: it goes first.
      setImmediate(() => void refresh());
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
