import { ServingError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Layout } from './layout.ts';
import type { ModelStore } from './store.ts';

/** What is known of a store without asking it each time. */
export interface Listing {
  /** The latest that was listed, however old. */
  latest(): Layout | undefined;
  /** One that is fresh enough. @throws ServingError `NOT_READY` with the reason. */
  current(): Promise<Layout>;
  /** A new one. @throws ServingError `NOT_READY` with the reason. */
  anew(): Promise<Layout>;
  /** Somebody else has listed it. */
  onListed(layout: Layout): void;
}

/** Names nobody knows must not cost a listing each. */
const LISTING_MS = 10_000;
const FAILED_MS = 1000;

export function createListing(store: Pick<ModelStore, 'list' | 'local'>, logger: Logger): Listing {
  const freshMs = store.local ? LISTING_MS / 10 : LISTING_MS;
  let layout: Layout | undefined;
  let listedAt = 0;
  let listing: Promise<Layout> | undefined;
  let failure: ServingError | undefined;
  let failedUntil = 0;
  const told = new Set<string>();

  function onListed(listed: Layout): void {
    layout = listed;
    listedAt = performance.now();
    for (const folder of listed.unfinished) {
      if (told.has(folder)) continue;
      told.add(folder);
      logger.warning(`${listed.root}/${folder} has files, but no model.onnx: it is passed over`, {});
    }
  }

  async function anew(): Promise<Layout> {
    // A bucket that cannot be listed is not asked again by each request.
    if (failure !== undefined && performance.now() < failedUntil) throw failure;
    listing ??= store
      .list(false)
      .then((listed) => {
        onListed(listed);
        return listed;
      })
      .finally(() => {
        listing = undefined;
      });
    try {
      return await listing;
    } catch (cause) {
      const message = `the models cannot be listed: ${(cause as Error).message}`;
      failure = new ServingError('NOT_READY', message, { retryAfter: 1, cause });
      failedUntil = performance.now() + FAILED_MS;
      throw failure;
    }
  }

  return {
    latest: () => layout,
    current: async () => (layout !== undefined && performance.now() - listedAt < freshMs ? layout : anew()),
    anew,
    onListed,
  };
}
