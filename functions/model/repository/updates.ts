import { createLimiter } from '../concurrency-limiter.ts';
import type { ModelStore } from '../fetch/store.ts';
import type { Layout } from '../folder/layout.ts';
import type { Telemetry } from '../serving/generation.ts';
import type { Model } from '../serving/model.ts';
import type { Listing } from './listing.ts';
import type { ServingModel } from './model-set.ts';

interface UpdatesOptions {
  readonly store: Pick<ModelStore, 'list'>;
  readonly telemetry: Telemetry;
  readonly listing: Pick<Listing, 'onListed'>;
  /** The models that serve now. */
  readonly serving: () => readonly ServingModel[];
}

/** Finds newer versions of the models that serve, and updates the models. */
export interface Updates {
  /**
   * Lists the models that serve and are not being updated, and updates those of which there is a newer version. Settles when all
   * updates under way have ended, successfully or not. Never rejects. A call meanwhile joins the listing under way, or starts
   * another, so that a long update does not delay those of other models.
   */
  refresh(): Promise<void>;
  /** From here on a failure is caused by the shutdown, and is not logged. */
  close(): void;
}

/** With more loaded models than this, a listing of all takes fewer requests than one of each folder. */
const MOST_FOLDERS = 8;
/** How many updates run at once: each fetch opens its own connections and takes some megabytes of the fetching process. */
const UPDATES_AT_ONCE = 4;

/** Creates the updates of a repository. It starts nothing by itself. */
export function createUpdates({ store, telemetry, listing: known, serving }: UpdatesOptions): Updates {
  const { logger, metrics } = telemetry;
  const limited = createLimiter(UPDATES_AT_ONCE);
  const underWay = new Map<Model, Promise<void>>();
  let listing: Promise<void> | undefined;
  let unreachable = false;
  let closed = false;

  async function listAll(): Promise<void> {
    // A model that is being updated, or whose old version is still in use, is checked again at a later refresh.
    const due = serving().filter(({ model }) => !underWay.has(model) && !model.refreshing());
    const each = due.length <= MOST_FOLDERS;
    let all: Layout | undefined;
    try {
      for (const { model, folder } of due) {
        let listed = each && folder !== undefined ? await store.list(true, { under: folder }) : all;
        if (listed === undefined || (listed !== all && !listed.models.has(folder!))) {
          all ??= await store.list(true);
          listed = all;
        }
        unreachable = false;
        known.onListed(listed);
        begin(model, listed);
      }
    } catch (error) {
      if (closed) return;
      // Logged once, not at every refresh: the loaded models keep serving.
      if (!unreachable) logger.warning(`the refresh could not list the models: ${(error as Error).message}`, { error });
      unreachable = true;
      metrics.refreshed('unreachable');
    }
  }

  function begin(model: Model, listed: Layout): void {
    const update = limited(() => model.refresh(listed)).finally(() => underWay.delete(model));
    underWay.set(model, update);
  }

  return {
    async refresh() {
      listing ??= listAll().finally(() => {
        listing = undefined;
      });
      await listing;
      await Promise.all(underWay.values());
    },
    close() {
      closed = true;
    },
  };
}
