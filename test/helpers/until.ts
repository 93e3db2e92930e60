/** Often at first; of what takes longer, less often: the answer is noticed at most a tenth of its time too late. */
const [LEAST_MS, MOST_MS] = [10, 250];
const SHARE = 0.1;
/** Only what hangs takes so long, on a busy machine too. */
const HANGS_MS = 60_000;
/** The same for loads that no request waits for: on a busy machine their processes, some of low priority, take minutes. */
export const BACKGROUND_MS = 600_000;

/**
 * Waits for something that another process tells only when asked: asks until it is neither undefined nor false.
 * @throws Error that names `what` after `timeoutMs`, and what `ask` throws.
 */
export async function until<T>(
  ask: () => T | Promise<T>,
  what: string,
  timeoutMs = HANGS_MS,
): Promise<Exclude<T, undefined | false>> {
  const started = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    const waited = performance.now() - started;
    if (waited > timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    const pauseMs = Math.min(MOST_MS, Math.max(LEAST_MS, waited * SHARE));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
