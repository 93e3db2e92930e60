/** Checks for newer models at intervals. */
interface Refresher {
  /** There is no timer, because the CPU is available only during requests: `onRequest` must be called at each request. */
  readonly runsOnRequests: boolean;
  /** Starts a check if one is due. The request does not wait for it. */
  onRequest(): void;
  close(): void;
}

/**
 * Creates a refresher, and starts its timer.
 * @param refresh starts a check, even if updates of an earlier one are under way; never rejects
 * @param everyMs 0: never. It varies by up to 5 %, so that the instances of a service do not all list the models at once.
 * @param onRequests see {@link Refresher.runsOnRequests}
 */
export function createRefresher(refresh: () => Promise<void>, everyMs: number, onRequests: boolean): Refresher {
  const interval = (): number => everyMs * (0.95 + Math.random() / 10);
  const runsOnRequests = onRequests && everyMs > 0;
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
    runsOnRequests,
    onRequest() {
      if (!runsOnRequests || closed || performance.now() < dueAt) return;
      dueAt = performance.now() + interval();
      // After this turn, in which the request starts.
      setImmediate(() => void refresh());
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
