import { join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { planProcesses } from '../../preprocess/process-plan.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { CompiledModel } from '../compiled/compiled-models.ts';
import { checkFitsBudget, EnginePlan, type EnginePlanOptions, type FirstEngine } from '../engine-plan.ts';
import type { FetchedModel } from '../fetch/store.ts';
import { checkTextSizes, type ModelFiles, readFiles } from '../folder/files.ts';
import { bytesOf, exportBytesOf, type Layout, type ListedVersion, stampOf } from '../folder/layout.ts';
import { weightPaths } from '../folder/weights.ts';
import { SourceError } from '../sources/source.ts';
import type { EngineOptions, Generation, Telemetry } from './generation.ts';
import type { LoadPhase } from './load-failure.ts';
import { loadGeneration } from './load-generation.ts';
import {
  awaitUpload,
  changed,
  confirmUnchanged,
  findWeights,
  listVersion,
  type VersionListingOptions,
  type VersionWithWeights,
} from './version-listing.ts';

/** A generation that is ready to serve, with its files and its memory. */
export interface PreparedGeneration extends VersionWithWeights {
  readonly generation: Generation;
  /** The stamp of the files that it was loaded from. */
  readonly stamp: string;
  /** Bytes of the memory budget that are reserved for it. */
  reservedBytes(): number;
  /** Starts the engines for which there was no memory while another generation served. */
  grow(): void;
  /** Ends it when its usage count is 0, and releases its files and memory. */
  retire(): Promise<void>;
  /** Ends it at once, and releases its files and memory. */
  close(): Promise<void>;
}

/** The services and settings with which models are prepared. */
export interface PreparationOptions extends VersionListingOptions, EnginePlanOptions {
  readonly engine: EngineOptions;
  readonly telemetry: Telemetry;
  /** Gives a listing that was just made to find this model; each once. */
  readonly takeListing?: () => Layout | undefined;
  /** `MODEL_SHA256`, if it is for this model. */
  readonly sha256?: string | undefined;
  /**
   * Runs the part of background work that takes a CPU, for one model at a time: sessions, golden rows and warm-up batches run beside
   * the requests of the models that serve, and several at once would take all of their CPUs. A first load does not use it.
   */
  readonly inLoadTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** The functions to which a load reports its progress. */
export interface Progress {
  /** Called when a phase starts. */
  phase(phase: LoadPhase): void;
  /** Called when the model's name and size are known. */
  found(version: Pick<ListedVersion, 'name'>, bytes: number): void;
  /** Called with the bytes fetched so far. */
  fetched(bytes: number): void;
}

/** How often a model is read if it changes meanwhile: a model that is written more often is not complete. */
const ATTEMPTS = 5;

/**
 * Lists, fetches, loads, checks and warms up a model.
 * @param background for an update: another generation serves meanwhile, and must keep its memory and its CPU.
 * @throws ServingError `MODEL_FAILED` with what is wrong, `NOT_READY` if memory is short at present; SourceError
 */
export async function fetchAndPrepare(
  options: PreparationOptions,
  progress: Progress,
  background: boolean,
): Promise<PreparedGeneration> {
  for (let attempt = 1; ; attempt++) {
    progress.phase('listing');
    const listed = options.takeListing?.();
    const version = listed === undefined ? await listVersion(options, background) : options.pick(listed);
    // Weights that the first attempt misses are found by the next, which inspects every local file.
    const preparation = new Preparation(options, version, progress, background, attempt > 1);
    const prepared = await preparation.prepare().catch((error: unknown) => {
      if (error instanceof SourceError && error.fault === 'changed') return undefined;
      throw error;
    });
    if (prepared !== undefined) return prepared;
    if (attempt === ATTEMPTS) {
      const message = `${options.store.root}: ${version.name} changed while it was read, ${ATTEMPTS} times over`;
      throw new ServingError('MODEL_FAILED', message);
    }
  }
}

/** One attempt to prepare a version, with the memory, files and engines that it has so far. */
class Preparation {
  readonly #options: PreparationOptions;
  readonly #progress: Progress;
  readonly #background: boolean;
  readonly #thorough: boolean;
  #listed: VersionWithWeights;
  #plan: EnginePlan | undefined;
  #files: FetchedModel | undefined;
  #generation: Generation | undefined;

  constructor(
    options: PreparationOptions,
    version: ListedVersion,
    progress: Progress,
    background: boolean,
    thorough: boolean,
  ) {
    this.#options = options;
    this.#listed = { version, weights: [] };
    this.#progress = progress;
    this.#background = background;
    this.#thorough = thorough;
  }

  async prepare(): Promise<PreparedGeneration> {
    const { store } = this.#options;
    checkTextSizes(store.root, this.#listed.version);
    await this.#reserve();
    try {
      await this.#fetch();
      // A fetched model is loaded from a copy, so that the check whether its upload was complete can run during the load.
      const confirmed = store.local ? undefined : this.#confirm();
      confirmed?.catch(() => {});
      const generation = await this.#load();
      await (confirmed ?? this.#confirm());
      return this.#prepared(generation);
    } catch (error) {
      await this.#end((generation) => generation.close());
      // A file that was read while it was written fails in many ways. If it has changed, it is read again.
      if (store.local) await this.#confirm();
      throw error;
    }
  }

  /**
   * Reserves memory for what is known so far.
   * @param mappableBytes those of the model's file, if they are known
   * @param preparingBytes those of the processes that prepare its inputs
   */
  async #reserve(mappableBytes?: number, preparingBytes = 0): Promise<void> {
    const { version, weights } = this.#listed;
    const bytes = bytesOf(version, weights);
    this.#progress.found(version, bytes);
    const fileBytes = (await this.#options.store.inMemory()) ? bytes + exportBytesOf(version) : 0;
    // onnxruntime maps external data itself.
    const mappable = mappableBytes === undefined ? undefined : mappableBytes + bytes - version.model.bytes;
    const size = { name: version.name, bytes, fileBytes, mappableBytes: mappable, preparingBytes };
    this.#plan = await EnginePlan.reserve(this.#options, size, this.#background);
  }

  async #fetch(): Promise<void> {
    const { store, sha256 } = this.#options;
    const { version } = this.#listed;
    const background = this.#background;
    await awaitUpload(this.#options, this.#listed, background);
    this.#progress.phase('fetching');
    const onBytes = this.#progress.fetched;
    const files = await store.fetchModel(version, { background, sha256, thorough: this.#thorough, onBytes });
    this.#files = files;
    this.#listed = await findWeights(this.#options, version, files.external, background);
    const { weights } = this.#listed;
    const { mappableBytes } = files;
    if (weights.length > 0 || (this.#plan!.isShort && mappableBytes !== undefined)) {
      // The reservation for the file alone is released first: two loads must not wait for each other's second reservation.
      this.#plan!.release();
      await this.#reserve(mappableBytes);
      // The comparison before was without the weights.
      await awaitUpload(this.#options, this.#listed, background);
    }
    const { siblings } = this.#listed.version;
    await files.fetchWeights(weights.map((path) => [path, siblings.get(path)!]));
  }

  async #load(): Promise<Generation> {
    const { store, budget, engine, telemetry, inLoadTurn, modelCount } = this.#options;
    const { version, weights } = this.#listed;
    const { folder, mappableBytes } = this.#files!;
    const read = await readFiles({ root: store.root, version, weights, folder, local: store.local });
    const { preparation } = read;
    const preparing = preparation && planProcesses(preparation, engine.capacity, Math.max(1, modelCount()));
    checkFitsBudget(budget, version.name, read.bytes, preparing?.bytes);
    if (preparing !== undefined) {
      this.#plan!.release();
      await this.#reserve(mappableBytes, preparing.bytes);
    }
    const plan = this.#plan!;
    const compiled = await this.#openCompiled(read, folder);
    const load = (): Promise<Generation> => {
      plan.reserveEngines();
      const memoryLimit = engine.capacity.memoryBytes === undefined ? undefined : () => plan.engineLimit();
      const preparingProcesses = preparing?.processes;
      const own = { ...engine, processes: plan.wanted, preparingProcesses, weights: plan.weights, memoryLimit };
      const countEngines = (first: FirstEngine): number => {
        plan.measure(first);
        return plan.reserveEngines();
      };
      return loadGeneration(read, own, telemetry, this.#progress.phase, countEngines, compiled);
    };
    const generation = await (this.#background ? inLoadTurn(load) : load());
    // From here on `#end` closes it.
    this.#generation = generation;
    const found = weightPaths(version.file, generation.external, read.place);
    if (found.some((path) => !weights.includes(path))) throw changed(version);
    return generation;
  }

  /** The compiled form of the model; undefined if it is not to have one. */
  async #openCompiled({ path, bytes }: ModelFiles, folder: string): Promise<CompiledModel | undefined> {
    const { store, engine, sha256 } = this.#options;
    const { version, weights } = this.#listed;
    // What is loaded has to be the file of that digest.
    if (this.#plan!.weights !== 'packed' || sha256 !== undefined) return undefined;
    const entries = [version.model, ...weights.map((one) => version.siblings.get(one)!)];
    const fetched = entries.map((entry) => [entry.path, entry.stamp, entry.bytes, entry.crc32c, entry.md5].join(' '));
    return engine.compiledModels?.open({
      ...{ name: version.name, bytes },
      paths: [path, ...weights.map((one) => join(folder, one))],
      fetched: store.local ? undefined : [store.root, ...fetched].join('\n'),
    });
  }

  #confirm(): Promise<void> {
    return confirmUnchanged(this.#options, this.#listed, this.#background);
  }

  #prepared(generation: Generation): PreparedGeneration {
    const plan = this.#plan!;
    const { version, weights } = this.#listed;
    return {
      generation,
      version,
      weights,
      stamp: stampOf(version, weights),
      reservedBytes: () => plan.reservedBytes(),
      grow() {
        plan.settle();
        generation.grow(plan.reserveEngines());
      },
      retire: () => this.#end((one) => one.retire()),
      close: () => this.#end((one) => one.close()),
    };
  }

  /** Ends the generation, if there is one, and releases its files and memory. */
  async #end(end: (generation: Generation) => Promise<void>): Promise<void> {
    try {
      if (this.#generation !== undefined) await end(this.#generation);
      await this.#files?.release();
    } finally {
      this.#plan?.release();
    }
  }
}

/** The generations of a model that no longer serve, and are still in use. */
export class Retirement {
  readonly #model: string;
  readonly #logger: Logger;
  readonly #pending = new Set<Promise<void>>();

  /** @param model its name, for the log */
  constructor(model: string, logger: Logger) {
    this.#model = model;
    this.#logger = logger;
  }

  /** Closes the generation when its usage count is 0. Settles then; never rejects. */
  retire(prepared: PreparedGeneration): Promise<void> {
    const retired = prepared
      .retire()
      // The generation that serves now is not affected.
      .catch((error: unknown) =>
        this.#logger.warning('a replaced version did not close cleanly', { model: this.#model, error }),
      )
      .finally(() => this.#pending.delete(retired));
    this.#pending.add(retired);
    return retired;
  }

  isPending(): boolean {
    return this.#pending.size > 0;
  }

  /** Settles when all that are retired so far have closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
