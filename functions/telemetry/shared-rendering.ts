/** The part of the serving thread's time that renderings may take. */
const SHARE = 0.1;
/** Saved up for this much of rendering: some hundred scrapes at once, at 3 ms each, still get a rendering of their own. */
const MOST_CREDIT_MS = 1000;
/** No rendering is given for longer than this. */
const LONGEST_MS = 1000;

/**
 * Renderings that many may ask for: those who ask while one is being made share it, and where renderings have taken more than a
 * tenth of the time, the latest is given again, for up to a second. So whoever scrapes now and then gets what is true now, and
 * whoever scrapes without end costs no more than that tenth.
 */
export function shareRendering<T>(render: () => Promise<T>): () => Promise<T> {
  let creditMs = MOST_CREDIT_MS;
  let creditedAt = performance.now();
  let rendering: Promise<T> | undefined;
  let latest: { readonly rendered: Promise<T>; readonly at: number } | undefined;

  return () => {
    if (rendering !== undefined) return rendering;
    const now = performance.now();
    creditMs = Math.min(MOST_CREDIT_MS, creditMs + (now - creditedAt) * SHARE);
    creditedAt = now;
    if (creditMs <= 0 && latest !== undefined && now - latest.at < LONGEST_MS) return latest.rendered;
    const cpuMs = threadCpuMs();
    // The first one loads what writes the text: none after it costs as much.
    const isFirst = latest === undefined;
    const made = render();
    rendering = made;
    const settle = (): void => {
      if (!isFirst) creditMs -= threadCpuMs() - cpuMs;
      rendering = undefined;
    };
    made.then(
      () => {
        settle();
        latest = { rendered: made, at: now };
      },
      () => settle(),
    );
    return made;
  };
}

/** Not the time on the clock: a machine that is busy with something else makes no rendering dearer. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
