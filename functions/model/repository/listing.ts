import { ServingError } from '../../errors.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { ModelStore } from '../fetch/store.ts';
import type { Layout } from '../folder/layout.ts';
import { IN_THE_LOG } from '../serving/load-failure.ts';

/** What is known of a store without asking it each time. */
export interface Listing {
  /** The latest that is known of each model, however old: of all, or of those that were looked for. */
  latest(): Layout | undefined;
  /** How many models there are, or may be; 1 while nothing is known. */
  total(): number;
  /** One of all models that is fresh enough. @throws ServingError `NOT_READY` with the reason. */
  current(): Promise<Layout>;
  /** A new one of all models. @throws ServingError `NOT_READY` with the reason. */
  anew(): Promise<Layout>;
  /**
   * Lists the folder of one model alone.
   * @returns undefined where there is no such model in a folder of its own, or too many are looked for already.
   * @throws ServingError `NOT_READY` with the reason.
   */
  one(name: string): Promise<Layout | undefined>;
  /** What `one` has just found of a model, for the load that it was looked for: once. */
  take(name: string): Layout | undefined;
  /** A listing of all is fresh enough to say what is not there, or one of this model to say what there is of it. */
  isFresh(name?: string): boolean;
  /** Somebody else has listed it, or one folder of it. */
  onListed(layout: Layout): void;
}

/** Unknown names must not cost a listing each. */
const LISTING_MS = 10_000;
const FAILED_MS = 1000;
/** Folders that are listed at once for names that callers send. */
const MOST_LOOKS = 8;
/** How long a folder's listing counts as just made. */
const JUST_MS = 1000;

export function createListing(store: Pick<ModelStore, 'list' | 'local'>, logger: Logger): Listing {
  const freshMs = store.local ? LISTING_MS / 10 : LISTING_MS;
  let layout: Layout | undefined;
  let listedAt = Number.NEGATIVE_INFINITY;
  let listing: Promise<Layout> | undefined;
  let failure: ServingError | undefined;
  let failedUntil = 0;
  let looks = 0;
  let found: { readonly name: string; readonly layout: Layout; readonly at: number } | undefined;
  /** When folders were listed alone since all was. */
  const seen = new Map<string, number>();
  const told = new Set<string>();

  function onListed(listed: Layout): void {
    failure = undefined;
    layout = listed.under === undefined || layout === undefined ? listed : merge(layout, listed, listed.under);
    if (listed.under === undefined) {
      listedAt = performance.now();
      seen.clear();
    } else seen.set(listed.under, performance.now());
    for (const folder of listed.unfinished) {
      warnOnce(`${listed.root}/${folder} has files, but no ${listed.file}: it is ignored`);
    }
    for (const folder of listed.duplicates) {
      warnOnce(`${listed.root}/${folder} has the version number of another folder, which serves: it is ignored`);
    }
  }

  function warnOnce(message: string): void {
    if (told.has(message)) return;
    told.add(message);
    logger.warning(message, {});
  }

  /** @throws ServingError `NOT_READY` */
  async function guard<T>(list: () => Promise<T>): Promise<T> {
    // A bucket that cannot be listed is not asked again by each request.
    if (failure !== undefined && performance.now() < failedUntil) throw failure;
    try {
      return await list();
    } catch (cause) {
      const { message: detail } = cause as Error;
      const message = `the models cannot be listed: ${IN_THE_LOG}`;
      // Once for each failure, not for each request: in between, what was listed before may do.
      if (failure?.detail !== detail) logger.warning(`the models cannot be listed: ${detail}`, { error: cause });
      failure = new ServingError('NOT_READY', message, { retryAfter: 1, detail, cause });
      failedUntil = performance.now() + FAILED_MS;
      throw failure;
    }
  }

  function anew(): Promise<Layout> {
    return guard(() => {
      listing ??= store
        .list(false)
        .then((listed) => {
          onListed(listed);
          return listed;
        })
        .finally(() => {
          listing = undefined;
        });
      return listing;
    });
  }

  async function one(name: string): Promise<Layout | undefined> {
    if (looks >= MOST_LOOKS) return undefined;
    looks++;
    try {
      const listed = await guard(() => store.list(false, { under: name }));
      if (!listed.models.has(name)) return undefined;
      onListed(listed);
      found = { name, layout: listed, at: performance.now() };
      return layout;
    } finally {
      looks--;
    }
  }

  function take(name: string): Layout | undefined {
    if (found?.name !== name) return undefined;
    const { layout: taken, at } = found;
    found = undefined;
    return performance.now() - at < JUST_MS ? taken : undefined;
  }

  function isFresh(name?: string): boolean {
    const ownAt = name === undefined ? undefined : seen.get(name);
    return performance.now() - (ownAt ?? listedAt) < freshMs;
  }

  return {
    latest: () => layout,
    total: () => layout?.total ?? 1,
    current: async () => (layout !== undefined && isFresh() ? layout : anew()),
    anew,
    one,
    take,
    isFresh,
    onListed,
  };
}

/** What is known of all, with one model as it is now. */
function merge(known: Layout, { models, total }: Layout, name: string): Layout {
  const versions = models.get(name);
  if (versions === undefined) return known;
  return { ...known, models: new Map(known.models).set(name, versions), total: Math.max(known.total, total) };
}
