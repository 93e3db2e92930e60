import { get } from './http/get.ts';
import type { Target } from './http/target.ts';
import { compareScrapes, readScrape, type Scrape, type ServerFigures } from './server-metrics.ts';

/** Reads a server's metrics at the begin and the end of a load. */
export interface ServerWatch {
  readonly begin: () => void;
  /** @returns undefined if the server has no such metrics, or does not show them, or two instances were asked */
  end(signal: AbortSignal): Promise<ServerFigures | undefined>;
}

const SCRAPE_MS = 10_000;

/** Creates a watch. A scrape that fails is not an error: other servers have none. */
export function watchServer(target: Target, headers: Readonly<Record<string, string>>): ServerWatch {
  let first: Promise<{ scrape: Scrape; at: number } | undefined> = Promise.resolve(undefined);

  async function scrape(signal?: AbortSignal): Promise<{ scrape: Scrape; at: number } | undefined> {
    const fields = { Host: target.host, ...headers };
    try {
      const got = await get(target.endpoint, { path: '/metrics', headers: fields, timeoutMs: SCRAPE_MS, signal });
      const found = got.status === 200 ? readScrape(got.body.toString()) : undefined;
      return found && { scrape: found, at: performance.now() };
    } catch {
      return undefined;
    }
  }

  return {
    begin() {
      first = scrape();
    },
    async end(signal) {
      const [before, after] = [await first, await scrape(signal)];
      if (before === undefined || after === undefined) return undefined;
      return compareScrapes(before.scrape, after.scrape, (after.at - before.at) / 1000);
    },
  };
}
