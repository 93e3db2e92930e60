import { type Capacity, modelMemory } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';
import { createLimiter } from '../concurrency-limiter.ts';
import type { ModelStore } from '../fetch/store.ts';
import { chooseVersion, type Layout } from '../folder/layout.ts';
import { MemoryBudget } from '../memory-budget.ts';
import type { EngineOptions, Generation, Telemetry } from '../serving/generation.ts';
import type { Model, ModelStatus } from '../serving/model.ts';
import { LayoutLookup } from './layout-lookup.ts';
import { Listing } from './listing.ts';
import { ModelSet } from './model-set.ts';
import { createUpdates, type Updates } from './updates.ts';

interface RepositoryOptions {
  readonly store: ModelStore;
  /** The model behind `/predict`; required if there are several. */
  readonly name: string | undefined;
  readonly engine: EngineOptions & { readonly capacity: Capacity };
  /** Bytes that all models may take; undefined: the memory limit without the bytes of the server process. */
  readonly memoryBudget: number | undefined;
  /** SHA-256 that the file of the model behind `/predict` must have, in hex. */
  readonly sha256: string | undefined;
  /** The names of the models that requests may load beside the one behind `/predict`; undefined: all. */
  readonly loadsOnRequest?: ReadonlySet<string> | undefined;
  /** The most models and versions that are loaded. Default: as many as the memory allows. */
  readonly maxModels?: number | undefined;
  /** The repository is checked for newer versions: memory for one is kept free. */
  readonly refreshes: boolean;
  readonly telemetry: Telemetry;
}

/** A model of the list, with the states of its versions. */
export interface ListedModel {
  readonly name: string;
  /** Unloaded by an administrator, and not loaded since. */
  readonly unloaded: boolean;
  /** The highest first; for a model without version folders, one without a number. `status` is undefined if not requested yet. */
  readonly versions: readonly { readonly number: string | undefined; readonly status: ModelStatus | undefined }[];
}

/** The models of one `MODEL_URI`: the one behind `/predict`, and the others of the repository by name and version. */
export interface Repository {
  /** The model behind `/predict`. Never unloaded. */
  readonly main: Model;
  /**
   * A model by its name. With a number, that version; without one the highest, and newer ones when they are found.
   * @throws ServingError `NOT_FOUND`; `NOT_READY` if the models cannot be listed, or the model was unloaded on demand
   */
  find(name: string, number?: string): Promise<Model>;
  /**
   * Whether a name is that of the model behind `/predict`. Its name in its `model.json` is known once it is loaded, and its folder, if
   * `MODEL_NAME` is not set, once the models have been listed.
   */
  isMain(name: string): boolean;
  /** All models. @throws ServingError `NOT_READY` if they cannot be listed */
  list(): Promise<readonly ListedModel[]>;
  /** One model of the list. @throws ServingError `NOT_FOUND`; `NOT_READY` if the models cannot be listed */
  describe(name: string): Promise<ListedModel>;
  /**
   * Loads a model, or the newest version of one that is loaded.
   * @throws ServingError `NOT_FOUND`; `NOT_READY` with the reason why it, or its newest version, failed to load.
   */
  load(name: string): Promise<void>;
  /**
   * Unloads all versions of a model, which stay unloaded until `load`. Settles when the requests that use it are done and its
   * memory is free.
   * @throws ServingError `NOT_FOUND`; `FORBIDDEN` for the model behind `/predict`, because `/ready` depends on it.
   */
  unload(name: string): Promise<void>;
  /** The generation that serves a name and a number, or without a number its highest version, if it is loaded. Loads nothing. */
  loaded(name: string | undefined, number: string | undefined): Generation | undefined;
  /** The models that have been requested so far. */
  known(): readonly Model[];
  /** Bytes that are reserved for loaded models. */
  memoryBytes(): number;
  /** Checks the models that serve for newer versions, and updates them: see {@link Updates.refresh}. Never rejects. */
  readonly refresh: Updates['refresh'];
  close(): Promise<void>;
}

/** Creates the repository of a store. Nothing is listed or loaded before it is requested. */
export function createRepository(options: RepositoryOptions): Repository {
  const { store, name, telemetry } = options;
  const budget = createBudget(options);
  const listing = new Listing(store, telemetry.logger);
  const inLoadTurn = createLimiter(1);
  const models = new ModelSet({
    defaultName: name,
    sha256: options.sha256,
    loadsOnRequest: (folder) => options.loadsOnRequest?.has(folder) !== false || demanded.get(folder) === 'loaded',
    listing,
    shared: {
      store,
      budget,
      engine: options.engine,
      telemetry,
      keepsSpareMemory: () => options.refreshes || listing.total() > 1,
      inLoadTurn: (work) =>
        inLoadTurn(() => {
          if (closed) throw new ServingError('DRAINING', 'the server is shutting down');
          return work();
        }),
    },
  });
  const { names, main } = models;
  const lookup = new LayoutLookup(listing, names, name !== undefined);
  const updates = createUpdates({ store, telemetry, listing, serving: () => models.serving() });
  /** By folder, the latest demand for a model. An unloaded one stays unloaded; a loaded one is loaded again on request. */
  const demanded = new Map<string, 'loaded' | 'unloaded'>();
  const isUnloaded = (folder: string): boolean => demanded.get(folder) === 'unloaded';
  let closed = false;

  async function find(wanted: string, number?: string): Promise<Model> {
    const layout = await lookup.find(wanted, number);
    if (demanded.size > 0 && isUnloaded(names.folderOf(layout, wanted))) throw unloadedError(wanted);
    return models.get(layout, wanted, number);
  }

  function isMain(wanted: string): boolean {
    const layout = listing.latest();
    return layout === undefined ? wanted === name : names.isMain(layout, wanted);
  }

  async function list(): Promise<ListedModel[]> {
    const layout = await listing.current();
    return [...layout.models.keys()].map((folder) => describeFolder(layout, folder));
  }

  async function describe(wanted: string): Promise<ListedModel> {
    const layout = await lookup.fresh(wanted);
    const folder = names.folderOf(layout, wanted);
    chooseVersion(layout, folder, undefined);
    return describeFolder(layout, folder);
  }

  function describeFolder(layout: Layout, folder: string): ListedModel {
    return { name: folder, unloaded: isUnloaded(folder), versions: describeVersions(models, layout, folder) };
  }

  async function load(wanted: string): Promise<void> {
    const layout = await lookup.list(wanted);
    const folder = names.folderOf(layout, wanted);
    const model = models.get(layout, wanted, undefined);
    demanded.set(folder, 'loaded');
    model.load();
    if (model.live() === undefined) await model.whenLive();
    else await model.refresh(layout, true);
    if (isUnloaded(folder)) throw new ServingError('NOT_READY', `${wanted} was unloaded while it was loading`);
    const { refused } = model.status();
    if (refused === undefined) return;
    const message = `the new version of ${wanted} failed to load; the previous version keeps serving: ${refused}`;
    throw new ServingError('NOT_READY', message);
  }

  async function unload(wanted: string): Promise<void> {
    const layout = await listing.current();
    const folder = names.folderOf(layout, wanted);
    chooseVersion(layout, folder, undefined);
    if (names.isMain(layout, wanted)) {
      const message = `${wanted} cannot be unloaded: it is the model behind /predict, and /ready depends on it`;
      throw new ServingError('FORBIDDEN', message);
    }
    demanded.set(folder, 'unloaded');
    telemetry.logger.info('unloaded on demand', { model: wanted });
    await Promise.all(models.ofFolder(folder).map((model) => model.unload()));
  }

  async function close(): Promise<void> {
    closed = true;
    updates.close();
    // The models are closed before the store, so that a fetch that the closing store ends is not logged as a failure.
    const ends = models.all().map((model) => model.close());
    await Promise.all([store.close(), ...ends]);
  }

  const loaded: Repository['loaded'] = (wanted, number) => models.loaded(wanted, number);
  const known = (): Model[] => models.all();
  const memoryBytes = (): number => budget.used();
  const { refresh } = updates;
  return { main, find, isMain, list, describe, load, unload, loaded, known, memoryBytes, refresh, close };
}

function unloadedError(name: string): ServingError {
  const path = `/v2/repository/models/${encodeURIComponent(name)}/load`;
  return new ServingError('NOT_READY', `the model ${name} is unloaded: POST ${path} loads it`, { retryAfter: 1 });
}

function describeVersions(models: ModelSet, layout: Layout, folder: string): ListedModel['versions'] {
  const newest = models.peek(layout, folder);
  // The version that serves need not be the highest: a newer one may have failed to load, or not be loaded yet.
  const serving = newest?.live()?.version;
  return layout.models.get(folder)!.map(({ number }, i) => {
    const isServing = serving === undefined || number === undefined ? i === 0 : serving === number;
    return { number, status: (isServing ? newest : models.peekVersion(folder, number))?.status() };
  });
}

/** The operator's budget, or the memory limit if that is less. */
function createBudget({ engine, memoryBudget, maxModels }: RepositoryOptions): MemoryBudget {
  const limit = modelMemory(engine.capacity);
  if (memoryBudget === undefined) return new MemoryBudget(limit, false, maxModels);
  return new MemoryBudget(Math.min(memoryBudget, limit ?? Number.POSITIVE_INFINITY), true, maxModels);
}
