import { ServingError } from '../../errors.ts';
import { chooseVersion, type Layout } from '../folder/layout.ts';
import type { Evictable, MemoryBudget } from '../memory-budget.ts';
import type { Generation, Telemetry } from '../serving/generation.ts';
import { createModel, type Model, type ModelOptions } from '../serving/model.ts';
import type { Listing } from './listing.ts';
import { ModelNames } from './model-names.ts';

interface ModelSetOptions {
  /** `MODEL_NAME`. */
  readonly defaultName: string | undefined;
  /** SHA-256 that the file of the model behind `/predict` must have. */
  readonly sha256: string | undefined;
  /** Whether requests may start the load of the models of a folder. */
  readonly loadsOnRequest: (folder: string) => boolean;
  readonly listing: Listing;
  /** The options that are the same for all models. */
  readonly shared: Omit<
    ModelOptions,
    | 'modelCount'
    | 'pick'
    | 'folder'
    | 'takeListing'
    | 'sha256'
    | 'onListed'
    | 'settleMs'
    | 'isRequired'
    | 'loadsOnRequest'
  >;
}

/** A loaded model. */
export interface ServingModel {
  readonly model: Model;
  /** The folder below the root with its versions; undefined if only a complete listing has it. */
  readonly folder: string | undefined;
}

/** A model that is not behind `/predict`. */
interface Entry {
  readonly model: Model;
  readonly evictable: Evictable;
  /** Below the root. */
  readonly folder: string;
  /** Milliseconds of `performance.now()`. */
  requestedAt: number;
}

/** How long a model that is not loaded stays in the set after a request for it. */
const RETENTION_MS = 60_000;
/** The most models of the set: a request may name any of a repository's versions. */
const MOST_MODELS = 2000;

/** The models that requests have named so far. */
export class ModelSet {
  /** The model behind `/predict`; never evicted. */
  readonly main: Model;
  readonly names: ModelNames;
  readonly #options: ModelSetOptions;
  readonly #budget: MemoryBudget;
  /** By folder, or by folder and number, which is the key of a pinned version. */
  readonly #others = new Map<string, Entry>();

  constructor(options: ModelSetOptions) {
    const { defaultName: name, listing, sha256, shared } = options;
    this.#options = options;
    this.#budget = shared.budget;
    this.main = createModel(name ?? 'default', {
      ...shared,
      sha256,
      isRequired: true,
      modelCount: () => 1,
      folder: name,
      onListed: (layout) => listing.onListed(layout),
      takeListing: () => (name === undefined ? undefined : listing.takeJustListed(name)),
      pick: (layout) => this.names.pickMain(layout),
    });
    this.names = new ModelNames(name, this.main);
    this.#budget.register({
      ...evictableOf(this.main, this.main.status().name, shared.telemetry),
      usedSeconds: () => Number.POSITIVE_INFINITY,
      idle: () => false,
    });
  }

  all(): Model[] {
    return [this.main, ...Array.from(this.#others.values(), ({ model }) => model)];
  }

  serving(): ServingModel[] {
    const main = { model: this.main, folder: this.#options.defaultName };
    return [main, ...this.#others.values()].filter(({ model }) => model.live() !== undefined);
  }

  /** The generation that serves a name and a number, or without a number the highest version of it. Without a name: the main one. */
  loaded(name: string | undefined, number: string | undefined): Generation | undefined {
    const main = this.main.live();
    const isMain = name === undefined || name === this.#options.defaultName || name === main?.name;
    const newest = isMain ? main : this.peekVersion(name, undefined)?.live();
    if (number === undefined || newest?.version === number) return newest;
    return name === undefined ? undefined : this.peekVersion(name, number)?.live();
  }

  /** The models of a folder that is not behind `/predict`: the newest version, and pinned ones. */
  ofFolder(folder: string): Model[] {
    return [...this.#others.values()].filter((entry) => entry.folder === folder).map(({ model }) => model);
  }

  /** The model of the highest version of a folder; undefined if it has not been requested. */
  peek(layout: Layout, folder: string): Model | undefined {
    return this.names.isMain(layout, folder) ? this.main : this.peekVersion(folder, undefined);
  }

  /** The model of one version of a folder; undefined if it has not been requested by its number. */
  peekVersion(folder: string, number: string | undefined): Model | undefined {
    return this.#others.get(keyOf(folder, number))?.model;
  }

  /**
   * The model of a name and a version number, or without a number that of the highest version. It is added if it is new.
   * @throws ServingError `NOT_FOUND` that says what is missing: the model, or its version; `NOT_READY` if the set is full
   */
  get(layout: Layout, name: string, number: string | undefined): Model {
    const folder = this.names.folderOf(layout, name);
    const isMain = this.names.isMain(layout, name);
    const newest = isMain ? this.main : this.peekVersion(folder, undefined);
    if (newest !== undefined) {
      // The version that serves, or will, is not loaded a second time for its number.
      const serving = (): string | undefined =>
        newest.live()?.version ?? chooseVersion(layout, folder, undefined).number;
      if (number === undefined || serving() === number) return isMain ? newest : this.#getOrAdd(folder, undefined);
    }
    chooseVersion(layout, folder, number);
    return this.#getOrAdd(folder, number);
  }

  /** A request for a known model renews `requestedAt`: it must not be removed before the caller loads it. */
  #getOrAdd(folder: string, number: string | undefined): Model {
    const key = keyOf(folder, number);
    const known = this.#others.get(key);
    if (known !== undefined) {
      known.requestedAt = performance.now();
      return known.model;
    }
    this.#removeDiscardable();
    const { listing, sha256, shared } = this.#options;
    const model = createModel(folder, {
      ...shared,
      // A file that must not serve behind `/predict` must not serve under its name either.
      sha256: this.names.isMainFolder(listing.latest(), folder) ? sha256 : undefined,
      loadsOnRequest: () => this.#options.loadsOnRequest(folder),
      modelCount: () => listing.total(),
      folder,
      onListed: (layout) => listing.onListed(layout),
      takeListing: () => listing.takeJustListed(folder),
      pick: (layout) => chooseVersion(layout, folder, number),
    });
    const evictable = evictableOf(model, folder, shared.telemetry);
    this.#budget.register(evictable);
    this.#others.set(key, { model, evictable, folder, requestedAt: performance.now() });
    return model;
  }

  /**
   * Removes models without a state, which are created again on request: callers may request the status of every version.
   * @throws ServingError `NOT_READY` if the set is full
   */
  #removeDiscardable(): void {
    const before = performance.now() - RETENTION_MS;
    for (const [key, { model, evictable, requestedAt }] of this.#others) {
      if (requestedAt > before || !model.discardable()) continue;
      this.#budget.unregister(evictable);
      this.#others.delete(key);
    }
    if (this.#others.size < MOST_MODELS) return;
    const message = `requests have named ${MOST_MODELS} models and versions in the last minute: try again in a minute`;
    throw new ServingError('NOT_READY', message, { retryAfter: RETENTION_MS / 1000 });
  }
}

const keyOf = (folder: string, number: string | undefined): string => JSON.stringify([folder, number]);

/** The model for the memory budget, which evicts it if another model needs the memory. @param label its name in the log */
function evictableOf(model: Model, label: string, { logger, metrics }: Telemetry): Evictable {
  return {
    bytes: () => model.reservedBytes(),
    lastUsed: () => model.live()?.lastUsed() ?? 0,
    usedSeconds: () => model.usedSeconds(),
    idle: () => !model.refreshing() && (model.live()?.idle() ?? false),
    async evict() {
      metrics.unloaded();
      logger.info('unloaded to make room for another model', { model: label });
      await model.unload();
    },
  };
}
