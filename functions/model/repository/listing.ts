import { ServingError } from '../../errors.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { ModelStore } from '../fetch/store.ts';
import type { Layout } from '../folder/layout.ts';
import { IN_THE_LOG } from '../serving/load-failure.ts';

/** How long a listing of all models is fresh: each request with an unknown name must not cost a listing. */
const FRESH_MS = 10_000;
/** How long requests do not list a store again after a failure. */
const FAILED_MS = 1000;
/** The most folders that are listed at once for names that callers send. */
const MOST_FOLDERS = 8;
/** How long the listing of a folder can be used for the load for which it was made. */
const JUST_MADE_MS = 1000;

/** The latest listing of a store, so that requests need not wait for a listing. */
export class Listing {
  readonly #store: Pick<ModelStore, 'list' | 'local'>;
  readonly #guard: ListingGuard;
  readonly #warnings: UploadWarnings;
  readonly #freshMs: number;
  #layout: Layout | undefined;
  #listedAt = Number.NEGATIVE_INFINITY;
  #listing: Promise<Layout> | undefined;
  /** How many folders are being listed alone. */
  #folders = 0;
  #justListed: { readonly name: string; readonly layout: Layout; readonly at: number } | undefined;
  /** When folders were listed alone since all was listed. */
  readonly #folderListedAt = new Map<string, number>();

  constructor(store: Pick<ModelStore, 'list' | 'local'>, logger: Logger) {
    this.#store = store;
    this.#guard = new ListingGuard(logger);
    this.#warnings = new UploadWarnings(logger);
    this.#freshMs = store.local ? FRESH_MS / 10 : FRESH_MS;
  }

  /** The latest that is known of each model, however old; without a complete listing, of the folders that were listed alone. */
  latest(): Layout | undefined {
    return this.#layout;
  }

  /** The number of models, or an upper bound of it; 1 before the first listing. */
  total(): number {
    return this.#layout?.total ?? 1;
  }

  /** A listing of all models that is fresh enough. @throws ServingError `NOT_READY` with the reason. */
  async current(): Promise<Layout> {
    return this.#layout !== undefined && this.isFresh() ? this.#layout : this.refresh();
  }

  /** Lists all models; calls meanwhile share one listing. @throws ServingError `NOT_READY` with the reason. */
  refresh(): Promise<Layout> {
    return this.#guard.run(() => {
      this.#listing ??= this.#listAll().finally(() => {
        this.#listing = undefined;
      });
      return this.#listing;
    });
  }

  /**
   * Lists the folder of one model alone.
   * @returns the latest of all models; undefined if there is no such model in a folder of that name, or too many folders are being
   * listed
   * @throws ServingError `NOT_READY` with the reason
   */
  async listFolder(name: string): Promise<Layout | undefined> {
    if (this.#folders >= MOST_FOLDERS) return undefined;
    this.#folders++;
    try {
      const layout = await this.#guard.run(() => this.#store.list(false, { under: name }));
      if (!layout.models.has(name)) return undefined;
      this.onListed(layout);
      this.#justListed = { name, layout, at: performance.now() };
      return this.#layout;
    } finally {
      this.#folders--;
    }
  }

  /** The listing that `listFolder` made in the last second, for the load for which it was made; each is returned once. */
  takeJustListed(name: string): Layout | undefined {
    const just = this.#justListed;
    if (just?.name !== name) return undefined;
    this.#justListed = undefined;
    return performance.now() - just.at < JUST_MADE_MS ? just.layout : undefined;
  }

  /** Whether the listing of all models, or that of one model, is fresh: what it does not have does not exist. */
  isFresh(name?: string): boolean {
    const ownAt = name === undefined ? undefined : this.#folderListedAt.get(name);
    return performance.now() - (ownAt ?? this.#listedAt) < this.#freshMs;
  }

  /** Stores a listing of all models, or of one folder, that was made elsewhere. */
  onListed(layout: Layout): void {
    this.#guard.clear();
    const { under } = layout;
    if (under === undefined) {
      this.#layout = layout;
      this.#listedAt = performance.now();
      this.#folderListedAt.clear();
    } else {
      this.#layout = this.#layout === undefined ? layout : merge(this.#layout, layout, under);
      this.#folderListedAt.set(under, performance.now());
    }
    this.#warnings.log(layout);
  }

  async #listAll(): Promise<Layout> {
    const layout = await this.#store.list(false);
    this.onListed(layout);
    return layout;
  }
}

/** The latest of all models, with one model as in its new listing. */
function merge(known: Layout, { models, total }: Layout, name: string): Layout {
  const versions = models.get(name);
  if (versions === undefined) return known;
  return { ...known, models: new Map(known.models).set(name, versions), total: Math.max(known.total, total) };
}

/** Refuses to list a store again for a second after a failure, and logs each failure once. */
class ListingGuard {
  readonly #logger: Logger;
  #failure: ServingError | undefined;
  #failedUntil = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @throws ServingError `NOT_READY` */
  async run<T>(list: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined && performance.now() < this.#failedUntil) throw this.#failure;
    try {
      return await list();
    } catch (cause) {
      const { message: detail } = cause as Error;
      if (this.#failure?.detail !== detail) {
        this.#logger.warning(`the models cannot be listed: ${detail}`, { error: cause });
      }
      const message = `the models cannot be listed: ${IN_THE_LOG}`;
      this.#failure = new ServingError('NOT_READY', message, { retryAfter: 1, detail, cause });
      this.#failedUntil = performance.now() + FAILED_MS;
      throw this.#failure;
    }
  }

  /** Forgets the failure, after a successful listing. */
  clear(): void {
    this.#failure = undefined;
  }
}

/** Logs folders that are probably mistakes, each once. */
class UploadWarnings {
  readonly #logger: Logger;
  readonly #logged = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log({ root, file, unfinished, duplicates }: Layout): void {
    for (const folder of unfinished) this.#warn(`${root}/${folder} has files, but no ${file}: it is ignored`);
    for (const folder of duplicates) {
      this.#warn(`${root}/${folder} has the version number of another folder, which serves: it is ignored`);
    }
  }

  #warn(message: string): void {
    if (this.#logged.has(message)) return;
    this.#logged.add(message);
    this.#logger.warning(message, {});
  }
}
