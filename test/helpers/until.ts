const EVERY_MS = 10;

/**
 * Waits for something that another process tells only when asked: asks until it is neither undefined nor false.
 * @throws Error that names `what` after `timeoutMs`, and what `ask` throws.
 */
export async function until<T>(
  ask: () => T | Promise<T>,
  what: string,
  timeoutMs = 60_000,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
