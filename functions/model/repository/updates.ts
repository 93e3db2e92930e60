import type { ModelStore } from '../fetch/store.ts';
import type { Layout } from '../folder/layout.ts';
import { createLimiter } from '../limiter.ts';
import type { Telemetry } from '../serving/generation.ts';
import type { Model } from '../serving/model.ts';
import type { Listing } from './listing.ts';
import type { ServingModel } from './model-set.ts';

export interface UpdatesOptions {
  readonly store: Pick<ModelStore, 'list'>;
  readonly telemetry: Telemetry;
  readonly listing: Pick<Listing, 'onListed'>;
  /** The models that serve now. */
  readonly serving: () => readonly ServingModel[];
}

/** Finds newer versions of the models that serve, and has them prepared. */
export interface Updates {
  /**
   * Lists the models that serve and are not being updated already, and updates those of which there is a newer version.
   * Settles when all updates under way have ended, well or badly. Never rejects. A call meanwhile joins the listing under way,
   * or begins another: an update that takes long holds up no other model's.
   */
  refresh(): Promise<void>;
  /** From here on a failure is that of a shutdown, and is not logged. */
  close(): void;
}

/** Above this many loaded models one listing of all is fewer requests than one of each folder. */
const MOST_FOLDERS = 8;
/** Each fetch opens connections of its own and takes some megabytes of the fetching process. */
const UPDATES_AT_ONCE = 4;

export function createUpdates({ store, telemetry, listing: known, serving }: UpdatesOptions): Updates {
  const { logger, metrics } = telemetry;
  const limited = createLimiter(UPDATES_AT_ONCE);
  const underWay = new Map<Model, Promise<void>>();
  let listing: Promise<void> | undefined;
  let unreachable = false;
  let closed = false;

  async function listAll(): Promise<void> {
    // One with a new version, or whose old one is still in use, is updated again once that is over.
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
