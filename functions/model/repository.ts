import { type Capacity, modelMemory } from '../engine/capacity.ts';
import { ServingError } from '../errors.ts';
import { createBudget, type Tenant } from './budget.ts';
import type { EngineOptions, Telemetry } from './generation.ts';
import { chooseDefault, chooseVersion, type Layout } from './layout.ts';
import { createModel, type Model, type ModelStatus } from './model.ts';
import type { ModelStore } from './store.ts';

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
  /** The highest first; of a model without version folders one that has no number. */
  readonly versions: readonly { readonly number: string | undefined; readonly status: ModelStatus | undefined }[];
}

/** The models of one `MODEL_URI`: the one behind `/predict`, and the others of the repository by name and version. */
export interface Repository {
  /** The model behind `/predict`. It is never let go of. */
  readonly main: Model;
  /**
   * A model by its name, and one of its versions by number; without one the highest, and later the next.
   * @throws ServingError `NOT_FOUND`; `NOT_READY` where the models cannot be listed.
   */
  find(name: string, number?: string): Promise<Model>;
  list(): Promise<readonly ListedModel[]>;
  /** The models that have been asked for so far. */
  known(): readonly Model[];
  /** Set aside for what is loaded. */
  memoryBytes(): number;
  /** Looks for what is new, and takes it in. Settles when that is done, or has failed. Never rejects. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

const keyOf = (name: string, number: string | undefined): string => JSON.stringify([name, number]);

/** Names nobody knows must not cost a listing each. */
const LISTING_MS = 10_000;
const FAILED_MS = 1000;

export function createRepository(options: RepositoryOptions): Repository {
  const { store, name, engine, telemetry } = options;
  const { logger, metrics } = telemetry;
  const limit = modelMemory(engine.capacity);
  const budget = createBudget(
    options.memoryBudget === undefined ? limit : Math.min(options.memoryBudget, limit ?? Number.POSITIVE_INFINITY),
    options.memoryBudget !== undefined,
  );
  /** By name, or by name and number: what a pinned version is kept under. */
  const others = new Map<string, { readonly model: Model; readonly tenant: Tenant }>();
  let layout: Layout | undefined;
  let listedAt = 0;
  let listing: Promise<Layout> | undefined;
  let refreshing: Promise<void> | undefined;
  let failure: ServingError | undefined;
  let failedUntil = 0;
  let unreachable = false;
  let closed = false;
  let found: { readonly listed: Layout; readonly folder: string | undefined } | undefined;
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

  const sparing = (): boolean => options.refreshes || (layout?.models.size ?? 1) > 1;
  const base = { store, budget, engine, telemetry, onListed, sparing };
  const main = createModel(name ?? 'default', {
    ...base,
    sha256: options.sha256,
    sharers: () => 1,
    pick: (listed) => chooseVersion(listed, chooseDefault(listed, name), undefined),
  });

  async function listNow(): Promise<Layout> {
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

  const freshMs = store.local ? LISTING_MS / 10 : LISTING_MS;
  const current = async (): Promise<Layout> =>
    layout !== undefined && performance.now() - listedAt < freshMs ? layout : listNow();

  async function find(wanted: string, number?: string): Promise<Model> {
    const known = layout;
    if (known !== undefined && isThere(known, wanted, number)) return modelOf(known, wanted, number);
    return modelOf(await current(), wanted, number);
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
    if (known !== undefined) return known.model;
    const model = createModel(wanted, {
      ...base,
      // A file that may not serve under one address may not under another.
      sha256: layout !== undefined && mainFolder(layout) === wanted ? options.sha256 : undefined,
      sharers: () => layout?.models.size ?? 1,
      pick: (current) => chooseVersion(current, wanted, number),
    });
    const tenant: Tenant = {
      lastUsed: () => model.live()?.lastUsed() ?? 0,
      idle: () => !model.refreshing() && (model.live()?.idle() ?? false),
      async unload() {
        metrics.unloaded();
        logger.info('unloaded: its memory is wanted for another model', { model: wanted });
        await model.unload();
      },
    };
    budget.join(tenant);
    others.set(key, { model, tenant });
    return model;
  }

  function known(): Model[] {
    return [main, ...Array.from(others.values(), ({ model }) => model)];
  }

  async function lookForNew(): Promise<void> {
    const serving = known().filter((model) => model.live() !== undefined);
    if (serving.length === 0) return;
    let listed: Layout;
    try {
      listed = await store.list(true);
      unreachable = false;
    } catch (error) {
      if (closed) return;
      // Told once, not at every look: what serves goes on.
      if (!unreachable) logger.warning(`no look for new models: ${(error as Error).message}`, { error });
      unreachable = true;
      metrics.refreshed('unreachable');
      return;
    }
    onListed(listed);
    // One after the other: each takes CPU and memory from what serves.
    for (const model of serving) await model.refresh(listed);
  }

  async function list(): Promise<ListedModel[]> {
    const listed = await current();
    return [...listed.models].map(([each, versions]) => ({
      name: each,
      versions: versions.map(({ number }, i) => {
        const newest = isMain(listed, each) ? main : others.get(keyOf(each, undefined))?.model;
        // A newer version that is not taken in, or not yet, is not the one that serves.
        const serving = newest?.live()?.version;
        const isServing = serving === undefined || number === undefined ? i === 0 : serving === number;
        return { number, status: (isServing ? newest : others.get(keyOf(each, number))?.model)?.status() };
      }),
    }));
  }

  return {
    main,
    find,
    list,
    known,
    memoryBytes: budget.used,
    refresh() {
      refreshing ??= lookForNew().finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },
    async close() {
      closed = true;
      // They know first that it is a shutdown: what the store then breaks off is no failure.
      const ends = known().map((model) => model.close());
      store.close();
      await Promise.all(ends);
    },
  };
}
