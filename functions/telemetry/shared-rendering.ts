/** The part of the time that renderings may take. */
const SHARE = 0.1;
/** Saved up for this much of rendering, so that a few scrapes at once each get a rendering of their own. */
const MOST_CREDIT_MS = 250;
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
    const started = performance.now();
    creditMs = Math.min(MOST_CREDIT_MS, creditMs + (started - creditedAt) * SHARE);
    creditedAt = started;
    if (creditMs <= 0 && latest !== undefined && started - latest.at < LONGEST_MS) return latest.rendered;
    const made = render();
    rendering = made;
    const settle = (): void => {
      creditMs -= performance.now() - started;
      rendering = undefined;
    };
    made.then(
      () => {
        settle();
        latest = { rendered: made, at: started };
      },
      () => settle(),
    );
    return made;
  };
}
