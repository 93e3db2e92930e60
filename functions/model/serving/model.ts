import { backOffMs } from '../../backoff.ts';
import { ServingError } from '../../errors.ts';
import type { ModelState } from '../../telemetry/metrics/metric-table.ts';
import { type Layout, stampOf } from '../folder/layout.ts';
import { SourceError } from '../sources/source.ts';
import type { BatchingDecision } from './batching-decision.ts';
import type { Generation } from './generation.ts';
import { IN_THE_LOG, type LoadPhase, tellCaller, toLoadError } from './load-failure.ts';
import { createLoadProgress } from './load-progress.ts';
import {
  fetchAndPrepare,
  type PreparationOptions,
  type PreparedGeneration,
  pickListed,
} from './prepared-generation.ts';

export interface ModelStatus {
  readonly name: string;
  readonly version: string | undefined;
  readonly state: ModelState;
  /** What a load is doing, also that of a version to come; undefined when none is under way. */
  readonly phase: LoadPhase | undefined;
  /** Size of the model and its weights. */
  readonly bytes: number | undefined;
  /** Of a load under way, how many of them have been brought. */
  readonly fetched: number | undefined;
  /** Seconds the latest load has taken so far, or took. */
  readonly seconds: number;
  /** Why it is not ready, in words for callers: the log has those for the operator. */
  readonly reason: string | undefined;
  /** Whether rows of different requests share runs, once a version serves. */
  readonly batching: BatchingDecision | undefined;
  /** Why a newer version does not serve, in words for callers. */
  readonly refused: string | undefined;
}

/** One model, from before its first load to the end of the process. */
export interface Model {
  /** Starts a load where none is done or under way. A load that failed is tried again once its back-off is over. */
  load(): void;
  /** The generation that serves. Who works with it holds it, in the same turn of the event loop. */
  live(): Generation | undefined;
  /** Waits for the load under way, or starts one. @throws ServingError `NOT_READY` with the reason a load failed. */
  whenLive(): Promise<Generation>;
  /**
   * Compares what was listed with what serves. Where it is another, it is prepared beside it and swapped in; one that fails
   * changes nothing, and is tried again when it changes or after a back-off. Settles when the new one serves, whoever still
   * works with the old. Never rejects.
   * @param patient waits where a version that was replaced before is still in use; else nothing is done then: two generations
   * take the memory of two, and there are to be no three.
   */
  refresh(layout: Layout, patient?: boolean): Promise<void>;
  /** A newer version is being prepared, or the one before it is still in use. */
  refreshing(): boolean;
  /** Nothing would be lost with it: it is not loaded, nor about to be, and no failure keeps it from being tried. */
  forgettable(): boolean;
  /** Unloads it until the next request for it. Settles when its usage count is 0 and its memory is free. */
  unload(): Promise<void>;
  status(): ModelStatus;
  close(): Promise<void>;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** A candidate that fails costs CPU that requests want. */
const FIRST_REFRESH_RETRY_MS = 60_000;
const LONGEST_REFRESH_RETRY_MS = 3_600_000;

/** @param label what the model is called until its files say otherwise. */
export function createModel(label: string, options: PreparationOptions): Model {
  const { logger, metrics } = options.telemetry;
  const progress = createLoadProgress(metrics);
  let live: PreparedGeneration | undefined;
  let loading: Promise<Generation> | undefined;
  let refreshing: Promise<void> | undefined;
  let failedIn: LoadPhase | undefined;
  let failure: ServingError | undefined;
  let told = '';
  let failures = 0;
  let retryAt = 0;
  let refusal: { stamp: string; times: number; retryAt: number; reason: string; told: string } | undefined;
  let closed = false;
  const leaving = new Set<Promise<void>>();

  async function prepare(replacing: boolean): Promise<PreparedGeneration> {
    progress.begin(live?.generation.name ?? label);
    try {
      const candidate = await fetchAndPrepare(options, progress, replacing);
      if (!closed) return candidate;
      await candidate.close();
      throw new ServingError('DRAINING', 'the server is shutting down');
    } catch (error) {
      failedIn = progress.now().phase;
      throw error;
    } finally {
      progress.end();
    }
  }

  async function firstLoad(): Promise<Generation> {
    try {
      live = await prepare(false);
      failures = 0;
      failure = undefined;
      announce('model ready');
      return live.generation;
    } catch (error) {
      if (closed) throw error;
      fail(error);
      throw failure;
    } finally {
      loading = undefined;
    }
  }

  function fail(error: unknown): void {
    failure = toLoadError(error);
    told = tellCaller(failure, failedIn);
    // Memory is short now: nothing is wrong with the model.
    const busy = failure.code === 'NOT_READY';
    if (!busy) failures++;
    retryAt = performance.now() + backOffMs(busy ? 1 : failures, FIRST_RETRY_MS, LONGEST_RETRY_MS);
    const log = busy ? logger.warning : logger.error;
    log(`the model did not load: ${failure.message}`, { model: label, error });
  }

  function announce(what: string): void {
    const { name, version } = live!.generation;
    progress.settle(live!.generation.bytes);
    const { seconds, bytes } = progress.now();
    logger.info(what, { model: name, version, seconds, bytes });
  }

  /** A local file that was overwritten is none that a lost engine could load again: it is loaded, and checked, as a new one. */
  function dropStale(): void {
    const stale = live;
    if (stale === undefined || refreshing !== undefined || !stale.generation.stale()) return;
    live = undefined;
    void retire(stale);
  }

  function begin(): Promise<Generation> | undefined {
    if (loading === undefined && live === undefined && performance.now() >= retryAt && !closed) {
      loading = firstLoad();
      // Whoever waits sees the error; without anyone it is in the status and the log.
      loading.catch(() => {});
    }
    return loading;
  }

  async function replace(serving: PreparedGeneration, layout: Layout): Promise<void> {
    const { name } = serving.generation;
    let stamp = '';
    try {
      failedIn = 'listing';
      stamp = stampOf(await pickListed(options, layout, serving), serving.weights);
      if (stamp === serving.stamp) {
        refusal = undefined;
        return;
      }
      if (refusal?.stamp === stamp && performance.now() < refusal.retryAt) return;
      const next = await prepare(true);
      if (live !== serving) {
        await next.close();
        return;
      }
      live = next;
      refusal = undefined;
      metrics.refreshed('swapped');
      announce(`a new version serves, in place of ${serving.generation.version}`);
      void retire(serving).then(() => {
        if (live === next) next.grow();
      });
    } catch (error) {
      if (error instanceof SourceError && error.fault === 'transient') {
        // The bucket's fault and not the version's: the next look tries it again.
        metrics.refreshed('unreachable');
        logger.warning(`the new version could not be fetched: ${error.message}`, { model: name });
        return;
      }
      if (closed) return;
      const reason = toLoadError(error);
      const { message } = reason;
      progress.settle(serving.generation.bytes);
      const times = refusal?.stamp === stamp ? refusal.times + 1 : 1;
      const wait = backOffMs(times, FIRST_REFRESH_RETRY_MS, LONGEST_REFRESH_RETRY_MS);
      // A model that has been removed is logged once, not at every refresh.
      if (stamp !== '' || refusal?.reason !== message) {
        metrics.refreshed('failed');
        logger.error(`the new version failed to load, the old one keeps serving: ${message}`, { model: name, error });
      }
      refusal = {
        stamp,
        times,
        retryAt: performance.now() + wait,
        reason: message,
        told: tellCaller(reason, failedIn),
      };
    }
  }

  function reasonOf(fault: string | undefined): string | undefined {
    if (fault !== undefined) return `its engine processes keep ending, and are replaced: ${IN_THE_LOG}`;
    return live !== undefined || failure === undefined ? undefined : told;
  }

  function retire(candidate: PreparedGeneration): Promise<void> {
    const gone = candidate
      .retire()
      // What serves now is none the worse for it.
      .catch((error: unknown) => logger.warning('a replaced version did not close cleanly', { model: label, error }))
      .finally(() => leaving.delete(gone));
    leaving.add(gone);
    return gone;
  }

  return {
    load() {
      dropStale();
      begin();
    },
    refreshing: () => refreshing !== undefined || leaving.size > 0,
    forgettable: () =>
      (live ?? loading ?? refreshing) === undefined && leaving.size === 0 && performance.now() >= retryAt,
    live: () => live?.generation,
    async whenLive() {
      if (live !== undefined) return live.generation;
      try {
        const under = begin();
        if (under !== undefined) return await under;
      } catch {}
      const retryAfter = Math.max(1, Math.ceil((retryAt - performance.now()) / 1000));
      const message = `the model is not ready: ${failure === undefined ? 'the server is shutting down' : told}`;
      throw new ServingError('NOT_READY', message, { retryAfter, detail: failure?.message });
    },
    async refresh(layout, patient = false) {
      if (patient) await Promise.all(leaving);
      if (live === undefined || refreshing !== undefined || leaving.size > 0 || closed) return refreshing;
      refreshing = replace(live, layout).finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },
    async unload() {
      if (loading !== undefined) await loading.catch(() => {});
      if (refreshing !== undefined) await refreshing;
      await Promise.all(leaving);
      const gone = live;
      live = undefined;
      refusal = undefined;
      if (gone !== undefined) await retire(gone);
    },
    status() {
      const fault = live?.generation.fault();
      const isReady = live !== undefined;
      const state = isReady
        ? fault === undefined
          ? 'ready'
          : 'degraded'
        : loading
          ? 'loading'
          : failure
            ? 'failed'
            : 'idle';
      return {
        name: live?.generation.name ?? label,
        version: live?.generation.version,
        state,
        ...progress.now(),
        reason: reasonOf(fault),
        batching: live?.generation.batching,
        refused: refusal?.told,
      };
    },
    async close() {
      closed = true;
      await live?.close();
      await loading?.catch(() => {});
      await refreshing;
      await Promise.all(leaving);
    },
  };
}
