import { type Capacity, modelMemory } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';
import type { ModelStore } from '../fetch/store.ts';
import { chooseDefault, chooseVersion, type Layout } from '../folder/layout.ts';
import { createLimiter } from '../limiter.ts';
import { type Evictable, MemoryBudget } from '../memory-budget.ts';
import type { EngineOptions, Telemetry } from '../serving/generation.ts';
import { createModel, type Model, type ModelStatus } from '../serving/model.ts';
import { evictableOf } from './evictable.ts';
import { createListing } from './listing.ts';
import { createUpdates, type Updates } from './updates.ts';

export interface RepositoryOptions {
  readonly store: ModelStore;
  /** The model behind `/predict`; needed where there are several. */
  readonly name: string | undefined;
  readonly engine: EngineOptions & { readonly capacity: Capacity };
  /** Bytes that models may take in all; undefined: what the memory limit leaves. */
  readonly memoryBudget: number | undefined;
  /** SHA-256 that the file of the model behind `/predict` must have, in hex. */
  readonly sha256: string | undefined;
  /** Newer versions are looked for: room for one is kept free. */
  readonly refreshes: boolean;
  readonly telemetry: Telemetry;
}

export interface ListedModel {
  readonly name: string;
  /** Unloaded by an administrator, and not loaded since. */
  readonly unloaded: boolean;
  /** The highest first; of a model without version folders one that has no number. */
  readonly versions: readonly { readonly number: string | undefined; readonly status: ModelStatus | undefined }[];
}

/** The models of one `MODEL_URI`: the one behind `/predict`, and the others of the repository by name and version. */
export interface Repository {
  /** The model behind `/predict`. Never unloaded. */
  readonly main: Model;
  /**
   * A model by its name, and one of its versions by number; without one the highest, and later the next.
   * @throws ServingError `NOT_FOUND`; `NOT_READY` where the models cannot be listed.
   */
  find(name: string, number?: string): Promise<Model>;
  list(): Promise<readonly ListedModel[]>;
  /** One of the list. @throws ServingError `NOT_FOUND`; `NOT_READY` where the models cannot be listed. */
  describe(name: string): Promise<ListedModel>;
  /**
   * Loads a model, or takes in what is new of one that is loaded.
   * @throws ServingError `NOT_FOUND`; `NOT_READY` with the reason why it does not load, or why what is new of it does not serve.
   */
  load(name: string): Promise<void>;
  /**
   * Unloads all versions of a model, and keeps them so until `load`. Settles when those who work with it are done and its
   * memory is free.
   * @throws ServingError `NOT_FOUND`; `FORBIDDEN` for the one behind `/predict`, on which readiness hangs.
   */
  unload(name: string): Promise<void>;
  /** The models that have been asked for so far. */
  known(): readonly Model[];
  /** Set aside for what is loaded. */
  memoryBytes(): number;
  /** Checks the models that serve for newer versions, and updates them: see {@link Updates.refresh}. Never rejects. */
  readonly refresh: Updates['refresh'];
  close(): Promise<void>;
}

/** A model that is not behind `/predict`. */
interface Other {
  readonly model: Model;
  readonly evictable: Evictable;
  /** Below the root. */
  readonly folder: string;
  /** Milliseconds of `performance.now()`. */
  askedAt: number;
}

/** How long a model that is not loaded is kept for whoever has just asked for it. */
const KEPT_MS = 60_000;
const keyOf = (name: string, number: string | undefined): string => JSON.stringify([name, number]);

export function createRepository(options: RepositoryOptions): Repository {
  const { store, name, engine, telemetry } = options;
  const { logger, metrics } = telemetry;
  const limit = modelMemory(engine.capacity);
  const budget = new MemoryBudget(
    options.memoryBudget === undefined ? limit : Math.min(options.memoryBudget, limit ?? Number.POSITIVE_INFINITY),
    options.memoryBudget !== undefined,
  );
  /** By name, or by name and number: what a pinned version is kept under. */
  const others = new Map<string, Other>();
  const listing = createListing(store, logger);
  /** Folders of models that were unloaded on demand, until they are loaded on demand. */
  const unloaded = new Set<string>();
  let closed = false;
  let found: { readonly listed: Layout; readonly folder: string | undefined } | undefined;

  const sparing = (): boolean => options.refreshes || listing.total() > 1;
  const loadTurn = createLimiter(1);
  const base = {
    store,
    budget,
    engine,
    telemetry,
    onListed: listing.onListed,
    sparing,
    inLoadTurn<T>(work: () => Promise<T>): Promise<T> {
      return loadTurn(() => {
        if (closed) throw new ServingError('DRAINING', 'the server is shutting down');
        return work();
      });
    },
  };
  const main = createModel(name ?? 'default', {
    ...base,
    sha256: options.sha256,
    modelCount: () => 1,
    under: name,
    listed: () => (name === undefined ? undefined : listing.take(name)),
    pick: (listed) => chooseVersion(listed, chooseDefault(listed, name), undefined),
  });

  const updates = createUpdates({
    store,
    logger,
    metrics,
    serving: () =>
      [{ model: main, folder: name }, ...others.values()].filter(({ model }) => model.live() !== undefined),
    onListed: listing.onListed,
  });

  async function find(wanted: string, number?: string): Promise<Model> {
    const listed = await listFor(wanted, number);
    if (unloaded.size > 0 && unloaded.has(folderOf(listed, wanted))) {
      const message = `the model ${wanted} was unloaded: POST /v2/repository/models/${encodeURIComponent(wanted)}/load brings it back`;
      throw new ServingError('NOT_READY', message, { retryAfter: 1 });
    }
    return modelOf(listed, wanted, number);
  }

  async function listFor(wanted: string, number: string | undefined): Promise<Layout> {
    const known = listing.latest();
    if (known !== undefined && isThere(known, wanted, number)) return known;
    const one = listing.isFresh() ? undefined : await lookAt(wanted);
    return one !== undefined && isThere(one, wanted, number) ? one : listing.current();
  }

  /** A repository of a thousand models is not listed for one of them, unless that is how the one behind `/predict` is found. */
  async function lookAt(wanted: string): Promise<Layout | undefined> {
    return name === undefined && listing.latest() === undefined ? undefined : listing.one(wanted);
  }

  function isThere(listed: Layout, wanted: string, number: string | undefined): boolean {
    if (isMain(listed, wanted) && number === undefined) return true;
    const versions = listed.models.get(folderOf(listed, wanted));
    return versions !== undefined && (number === undefined || versions.some((version) => version.number === number));
  }

  const folderOf = (listed: Layout, wanted: string): string => (isMain(listed, wanted) ? mainFolder(listed)! : wanted);

  /** By its folder's name, or by the name it goes by in answers. */
  function isMain(listed: Layout, wanted: string): boolean {
    if (main.live()?.name === wanted && !listed.models.has(wanted)) return true;
    return mainFolder(listed) === wanted;
  }

  /** Found once for each listing: who lists thousands of models asks for it as often. */
  function mainFolder(listed: Layout): string | undefined {
    if (found?.listed !== listed) {
      let folder: string | undefined;
      try {
        folder = chooseDefault(listed, name);
      } catch {}
      found = { listed, folder };
    }
    return found.folder;
  }

  function isMainFolder(folder: string): boolean {
    const listed = listing.latest();
    return listed !== undefined && mainFolder(listed) === folder;
  }

  /** @throws ServingError `NOT_FOUND` that says what is missing: the model, or its version. */
  function modelOf(listed: Layout, wanted: string, number: string | undefined): Model {
    const folder = folderOf(listed, wanted);
    const newest = isMain(listed, wanted) ? main : others.get(keyOf(folder, undefined))?.model;
    if (number === undefined) {
      if (newest !== undefined) return newest;
    } else if (newest !== undefined) {
      // Whoever names the version that serves, or is about to, gets it, and not a second copy.
      const serving = newest.live()?.version ?? chooseVersion(listed, folder, undefined).number;
      if (serving === number) return newest;
    }
    chooseVersion(listed, folder, number);
    return other(folder, number);
  }

  function other(wanted: string, number: string | undefined): Model {
    const key = keyOf(wanted, number);
    const known = others.get(key);
    if (known !== undefined) {
      known.askedAt = performance.now();
      return known.model;
    }
    forget();
    const model = createModel(wanted, {
      ...base,
      // A file that may not serve under one address may not under another.
      sha256: isMainFolder(wanted) ? options.sha256 : undefined,
      modelCount: listing.total,
      under: wanted,
      listed: () => listing.take(wanted),
      pick: (current) => chooseVersion(current, wanted, number),
    });
    const evictable = evictableOf(model, wanted, telemetry);
    budget.register(evictable);
    others.set(key, { model, evictable, folder: wanted, askedAt: performance.now() });
    return model;
  }

  /** Callers ask for every version that there is, and for its status alone: what is not loaded is made anew when it is asked for again. */
  function forget(): void {
    const before = performance.now() - KEPT_MS;
    for (const [key, { model, evictable, askedAt }] of others) {
      if (askedAt > before || !model.forgettable()) continue;
      budget.unregister(evictable);
      others.delete(key);
    }
  }

  const known = (): Model[] => [main, ...Array.from(others.values(), ({ model }) => model)];

  async function list(): Promise<ListedModel[]> {
    const listed = await listing.current();
    return [...listed.models.keys()].map((each) => describeFolder(listed, each));
  }

  async function describe(wanted: string): Promise<ListedModel> {
    const known = listing.isFresh(wanted) ? listing.latest() : await lookAt(wanted);
    const listed = known?.models.has(folderOf(known, wanted)) ? known : await listing.current();
    const folder = folderOf(listed, wanted);
    chooseVersion(listed, folder, undefined);
    return describeFolder(listed, folder);
  }

  function describeFolder(listed: Layout, folder: string): ListedModel {
    const newest = isMain(listed, folder) ? main : others.get(keyOf(folder, undefined))?.model;
    // A newer version that is not taken in, or not yet, is not the one that serves.
    const serving = newest?.live()?.version;
    const versions = listed.models.get(folder)!.map(({ number }, i) => {
      const isServing = serving === undefined || number === undefined ? i === 0 : serving === number;
      return { number, status: (isServing ? newest : others.get(keyOf(folder, number))?.model)?.status() };
    });
    return { name: folder, unloaded: unloaded.has(folder), versions };
  }

  async function load(wanted: string): Promise<void> {
    const listed = (await lookAt(wanted)) ?? (await listing.anew());
    const model = modelOf(listed, wanted, undefined);
    unloaded.delete(folderOf(listed, wanted));
    if (model.live() === undefined) await model.whenLive();
    else await model.refresh(listed, true);
    if (unloaded.has(folderOf(listed, wanted)))
      throw new ServingError('NOT_READY', `${wanted} was unloaded while it was loading`);
    const { refused } = model.status();
    if (refused !== undefined)
      throw new ServingError('NOT_READY', `what is new of ${wanted} does not serve, the old one goes on: ${refused}`);
  }

  async function unload(wanted: string): Promise<void> {
    const listed = await listing.current();
    const folder = folderOf(listed, wanted);
    chooseVersion(listed, folder, undefined);
    if (isMain(listed, wanted)) {
      throw new ServingError('FORBIDDEN', `${wanted} is behind /predict, and /ready hangs on it: it stays loaded`);
    }
    unloaded.add(folder);
    logger.info('unloaded on demand', { model: wanted });
    const versions = [...others.values()].filter((one) => one.folder === folder);
    await Promise.all(versions.map(({ model }) => model.unload()));
  }

  return {
    main,
    find,
    list,
    describe,
    load,
    unload,
    known,
    memoryBytes: () => budget.used(),
    refresh: updates.refresh,
    async close() {
      closed = true;
      updates.close();
      // They know first that it is a shutdown: what the store then breaks off is no failure.
      const ends = known().map((model) => model.close());
      store.close();
      await Promise.all(ends);
    },
  };
}
