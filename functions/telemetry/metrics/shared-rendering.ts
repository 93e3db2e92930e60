/** The part of the serving thread's time that renderings may take. */
const SHARE = 0.1;
/** Most rendering time that can be accumulated: some hundred scrapes in a burst, at 3 ms each, still get a new rendering each. */
const MOST_CREDIT_MS = 1000;
/** A rendering is not returned again when it is older than this. */
const LONGEST_MS = 1000;

/**
 * Shares renderings between scrapes. Scrapes that arrive while a rendering is being made share it. When renderings have taken
 * more than a tenth of the thread's time, the latest is returned again, for up to a second. So an occasional scrape gets a fresh
 * rendering, and endless scraping costs no more than that tenth.
 * @returns a function that returns a rendering, and rejects with what `render` rejects with.
 */
export function shareRendering<T>(render: () => Promise<T>): () => Promise<T> {
  let creditMs = MOST_CREDIT_MS;
  let creditedAt = performance.now();
  let rendering: Promise<T> | undefined;
  let latest: { readonly rendered: Promise<T>; readonly renderedAt: number } | undefined;

  return () => {
    if (rendering !== undefined) return rendering;
    const now = performance.now();
    creditMs = Math.min(MOST_CREDIT_MS, creditMs + (now - creditedAt) * SHARE);
    creditedAt = now;
    if (creditMs <= 0 && latest !== undefined && now - latest.renderedAt < LONGEST_MS) return latest.rendered;
    const cpuMs = threadCpuMs();
    const made = render();
    rendering = made;
    const settle = (): void => {
      creditMs -= threadCpuMs() - cpuMs;
      rendering = undefined;
    };
    made.then(
      () => {
        settle();
        latest = { rendered: made, renderedAt: now };
      },
      () => settle(),
    );
    return made;
  };
}

/** CPU time instead of wall time, which is longer on a busy machine. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
