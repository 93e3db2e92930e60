import type { Preparation } from '../../engine/prepared/preparation.ts';
import { ServingError } from '../../errors.ts';
import { shorten } from '../../shorten.ts';
import type { ModelState } from '../../telemetry/metrics/metric-table.ts';
import { Activity } from '../activity.ts';
import { type Layout, stampOf } from '../folder/layout.ts';
import { SourceError } from '../sources/source.ts';
import type { BatchingDecision } from './batching-decision.ts';
import type { Generation } from './generation.ts';
import { IN_THE_LOG, LoadFailures, type LoadPhase, RefusedVersion, toLoadError } from './load-failure.ts';
import { createLoadProgress } from './load-progress.ts';
import {
  fetchAndPrepare,
  type PreparationOptions,
  type PreparedGeneration,
  Retirement,
} from './prepared-generation.ts';
import { pickListed } from './version-listing.ts';

/** The state of a model, for status pages and probes. */
export interface ModelStatus {
  readonly name: string;
  readonly version: string | undefined;
  readonly state: ModelState;
  /** The phase of a load under way, also of a newer version; undefined if there is none. */
  readonly phase: LoadPhase | undefined;
  /** The size of the model and its weights. */
  readonly bytes: number | undefined;
  /** How many of them a load under way has fetched. */
  readonly fetched: number | undefined;
  /** The seconds of the latest load so far, or in all. */
  readonly seconds: number;
  /** Why it is not ready, as text for callers: the log has the reason for the operator. */
  readonly reason: string | undefined;
  /** Whether rows of different requests share runs; undefined while no version serves. */
  readonly batching: BatchingDecision | undefined;
  /** How the inputs of the version that serves are made from texts or pictures; undefined: callers send tensors. */
  readonly preparation?: Preparation | undefined;
  /** Why a newer version failed to load, as text for callers. */
  readonly refused: string | undefined;
}

/** One model, from before its first load to the end of the process. */
export interface Model {
  /**
   * Starts a load unless one is done or under way. A load that failed is tried again when its back-off is over. The operator wants
   * this load, so that it may evict models in steady use.
   */
  load(): void;
  /** The generation that serves. A caller that uses it calls its `hold()` in the same turn of the event loop. */
  live(): Generation | undefined;
  /**
   * Waits for the load under way, or starts one if requests may load the model.
   * @throws ServingError `NOT_READY` with the reason why it is not loaded
   */
  whenLive(): Promise<Generation>;
  /**
   * Compares the listed version with the one that serves. A different one is prepared beside it, and swapped in; one that fails
   * changes nothing, and is tried again when it changes or after a back-off. Settles when the new one serves, even while requests
   * still use the old one. Never rejects.
   * @param waitForRetired whether to wait while a version that was replaced before is still in use. Otherwise nothing is done then:
   * two generations take the memory of two, and there must not be three.
   */
  refresh(layout: Layout, waitForRetired?: boolean): Promise<void>;
  /** Whether a newer version is being prepared, or the one before it is still in use. */
  refreshing(): boolean;
  /** Whether it has no state to lose: it is neither loaded nor loading, and no back-off delays its next load. */
  discardable(): boolean;
  /** Bytes of the memory budget that are reserved for the generation that serves, and that `unload` releases; 0 if none serves. */
  reservedBytes(): number;
  /** Whether a request for a prediction starts its load. */
  loadsOnRequest(): boolean;
  /** In how many of the last ten seconds it was requested for predictions: see {@link Activity}. */
  usedSeconds(): number;
  /** Unloads it until the next request for it. Settles when its usage count is 0 and its memory is free. */
  unload(): Promise<void>;
  status(): ModelStatus;
  /** Ends its engines and the loads under way. Settles when all processes have exited and the files are removed. */
  close(): Promise<void>;
}

/** `Retry-After` of a request for a model that requests do not load. */
const NOT_LOADED_SECONDS = 60;

/** What a model needs. */
export interface ModelOptions extends Omit<PreparationOptions, 'usedSeconds'> {
  /** The server is not ready without it: requests may always load it, and it may evict models in steady use. */
  readonly isRequired?: boolean;
  /** Whether requests may start its load. Default: they may. */
  readonly loadsOnRequest?: (() => boolean) | undefined;
}

/**
 * Creates a model, which is not loaded yet.
 * @param label its name until its files give it another
 */
export function createModel(label: string, options: ModelOptions): Model {
  return new ManagedModel(label, options);
}

class ManagedModel implements Model {
  readonly #label: string;
  readonly #options: PreparationOptions;
  readonly loadsOnRequest: () => boolean;
  readonly #progress: ReturnType<typeof createLoadProgress>;
  readonly #failures = new LoadFailures();
  readonly #refused = new RefusedVersion();
  readonly #retirement: Retirement;
  #activity = new Activity();
  /** The operator wants the load under way. */
  #isWanted = false;
  #live: PreparedGeneration | undefined;
  #loading: Promise<Generation> | undefined;
  #updating: Promise<void> | undefined;
  /** The phase in which the latest load or update failed. */
  #failedIn: LoadPhase | undefined;
  #closed = false;

  constructor(label: string, options: ModelOptions) {
    const { logger, metrics } = options.telemetry;
    this.#label = label;
    const { isRequired = false, loadsOnRequest = () => true } = options;
    this.#options = {
      ...options,
      usedSeconds: () => {
        if (isRequired || this.#isWanted) return Number.POSITIVE_INFINITY;
        // The request that started the load still waits, however long it has waited.
        return Math.max(this.#loading === undefined ? 0 : 1, this.usedSeconds());
      },
    };
    this.loadsOnRequest = () => isRequired || loadsOnRequest();
    this.#progress = createLoadProgress(metrics);
    this.#retirement = new Retirement(label, logger);
  }

  load(): void {
    this.#dropStale();
    if (this.#live === undefined && !this.#isWanted) {
      this.#isWanted = true;
      // A request found no room: the operator's load may evict more.
      if (this.#failures.latest?.code === 'NOT_READY') this.#failures.clear();
    }
    this.#begin();
  }

  live(): Generation | undefined {
    return this.#live?.generation;
  }

  async whenLive(): Promise<Generation> {
    if (this.#live !== undefined) return this.#live.generation;
    this.#activity.mark(performance.now());
    const mayLoad = this.loadsOnRequest();
    try {
      const loading = mayLoad ? this.#begin() : this.#loading;
      if (loading !== undefined) return await loading;
    } catch {}
    if (!mayLoad && this.#failures.latest === undefined) throw notLoaded(this.#label);
    const { latest, reported } = this.#failures;
    const retryAfter = Math.max(1, Math.ceil(this.#failures.waitMs() / 1000));
    const message = `the model is not ready: ${reported ?? 'the server is shutting down'}`;
    throw new ServingError('NOT_READY', message, { retryAfter, detail: latest?.message });
  }

  async refresh(layout: Layout, waitForRetired = false): Promise<void> {
    if (waitForRetired) await this.#retirement.settled();
    if (this.#live === undefined || this.refreshing() || this.#closed) return this.#updating;
    this.#updating = this.#update(this.#live, layout).finally(() => {
      this.#updating = undefined;
    });
    return this.#updating;
  }

  refreshing(): boolean {
    return this.#updating !== undefined || this.#retirement.isPending();
  }

  discardable(): boolean {
    const isInUse = (this.#live ?? this.#loading) !== undefined || this.refreshing();
    return !isInUse && this.#failures.waitMs() <= 0;
  }

  reservedBytes(): number {
    return this.#live?.reservedBytes() ?? 0;
  }

  usedSeconds(): number {
    return this.#activity.seconds(performance.now());
  }

  async unload(): Promise<void> {
    await this.#loading?.catch(() => {});
    await this.#updating;
    await this.#retirement.settled();
    const unloaded = this.#live;
    this.#live = undefined;
    this.#refused.clear();
    if (unloaded !== undefined) await this.#retirement.retire(unloaded);
  }

  status(): ModelStatus {
    const generation = this.#live?.generation;
    const fault = generation?.fault();
    return {
      name: generation?.name ?? this.#label,
      version: generation?.version,
      state: this.#state(fault),
      ...this.#progress.now(),
      reason: this.#reason(fault),
      batching: generation?.batching,
      ...(generation?.preparation && { preparation: generation.preparation }),
      refused: this.#refused.reported,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#live?.close();
    await this.#loading?.catch(() => {});
    await this.#updating;
    await this.#retirement.settled();
  }

  #state(fault: string | undefined): ModelStatus['state'] {
    if (this.#live !== undefined) return fault === undefined ? 'ready' : 'degraded';
    if (this.#loading !== undefined) return 'loading';
    return this.#failures.latest === undefined ? 'idle' : 'failed';
  }

  #reason(fault: string | undefined): string | undefined {
    if (fault !== undefined) return `its engine processes keep ending, and are replaced: ${IN_THE_LOG}`;
    return this.#live === undefined ? this.#failures.reported : undefined;
  }

  /** A replacement of an engine cannot load a local file that was overwritten: the file is loaded as a new version. */
  #dropStale(): void {
    const stale = this.#live;
    if (stale === undefined || this.#updating !== undefined || !stale.generation.stale()) return;
    this.#live = undefined;
    void this.#retirement.retire(stale);
  }

  /** Starts a load if one is due. @returns the load under way. */
  #begin(): Promise<Generation> | undefined {
    const isDue = this.#loading === undefined && this.#live === undefined && this.#failures.waitMs() <= 0;
    if (isDue && !this.#closed) {
      this.#loading = this.#firstLoad();
      // A waiting caller gets the error; it is also in the status and the log.
      this.#loading.catch(() => {});
    }
    return this.#loading;
  }

  async #firstLoad(): Promise<Generation> {
    try {
      this.#serve(await this.#prepare(false));
      this.#failures.clear();
      this.#logLoaded('model ready');
      return this.#live!.generation;
    } catch (error) {
      if (this.#closed) throw error;
      const failure = toLoadError(error);
      const { logger } = this.#options.telemetry;
      const isRepeated = this.#failures.latest?.message === failure.message;
      const isBusy = this.#failures.record(failure, this.#failedIn);
      // A caller can repeat a request for which there is no room as often as it wants.
      const log = isBusy ? (isRepeated ? logger.debug : logger.warning) : logger.error;
      log(`the model did not load: ${failure.message}`, { model: this.#label, error });
      throw failure;
    } finally {
      this.#loading = undefined;
      this.#isWanted = false;
    }
  }

  #serve(prepared: PreparedGeneration): void {
    prepared.generation.activity.adopt(this.#activity);
    this.#activity = prepared.generation.activity;
    this.#live = prepared;
  }

  /** @param background see {@link fetchAndPrepare}. */
  async #prepare(background: boolean): Promise<PreparedGeneration> {
    this.#progress.begin(this.#live?.generation.name ?? this.#label);
    try {
      const prepared = await fetchAndPrepare(this.#options, this.#progress, background);
      if (!this.#closed) return prepared;
      await prepared.close();
      throw new ServingError('DRAINING', 'the server is shutting down');
    } catch (error) {
      this.#failedIn = this.#progress.now().phase;
      throw error;
    } finally {
      this.#progress.end();
    }
  }

  async #update(serving: PreparedGeneration, layout: Layout): Promise<void> {
    let stamp = '';
    try {
      this.#failedIn = 'listing';
      stamp = stampOf(await pickListed(this.#options, layout, serving), serving.weights);
      if (stamp === serving.stamp) this.#refused.clear();
      else if (!this.#refused.isBlocked(stamp)) await this.#swap(serving);
    } catch (error) {
      this.#failUpdate(serving, stamp, error);
    }
  }

  async #swap(serving: PreparedGeneration): Promise<void> {
    const next = await this.#prepare(true);
    if (this.#live !== serving) {
      await next.close();
      return;
    }
    this.#serve(next);
    this.#refused.clear();
    this.#options.telemetry.metrics.refreshed('swapped');
    this.#logLoaded(`a new version serves, in place of ${serving.generation.version}`);
    void this.#retirement.retire(serving).then(() => {
      if (this.#live === next) next.grow();
    });
  }

  #failUpdate(serving: PreparedGeneration, stamp: string, error: unknown): void {
    if (this.#closed) return;
    const { logger, metrics } = this.#options.telemetry;
    const { name, bytes } = serving.generation;
    if (error instanceof SourceError && error.fault === 'transient') {
      // The bucket could not be reached; the version itself may be good. The next refresh tries it again.
      metrics.refreshed('unreachable');
      logger.warning(`the new version could not be fetched: ${error.message}`, { model: name });
      return;
    }
    const failure = toLoadError(error);
    this.#progress.settle(bytes);
    if (!this.#refused.record(stamp, failure, this.#failedIn)) return;
    metrics.refreshed('failed');
    const message = `the new version failed to load; the previous version keeps serving: ${failure.message}`;
    logger.error(message, { model: name, error });
  }

  #logLoaded(message: string): void {
    const { name, version, bytes: size } = this.#live!.generation;
    this.#progress.settle(size);
    const { seconds, bytes } = this.#progress.now();
    this.#options.telemetry.logger.info(message, { model: name, version, seconds, bytes });
  }
}

function notLoaded(name: string): ServingError {
  const message = `the model ${shorten(name)} is not loaded, and requests do not load it: an administrator can`;
  const detail = 'MODEL_LOAD_ON_REQUEST';
  return new ServingError('NOT_READY', message, { retryAfter: NOT_LOADED_SECONDS, detail });
}
