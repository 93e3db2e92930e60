import { ServingError } from '../errors.ts';
import {
  type EngineOptions,
  type Generation,
  type LoadPhase,
  prepareGeneration,
  type Telemetry,
} from './generation.ts';
import type { ModelSource } from './source.ts';

export interface ModelStatus {
  readonly name: string;
  readonly version: string | undefined;
  readonly state: 'idle' | 'loading' | 'ready' | 'failed' | 'degraded';
  /** What a load is doing; undefined when none is under way. */
  readonly phase: LoadPhase | undefined;
  /** Size of the model's file. */
  readonly bytes: number | undefined;
  /** Seconds the latest load has taken so far, or took. */
  readonly seconds: number;
  /** Why it is not ready, in words for the operator. */
  readonly reason: string | undefined;
}

/** The model behind `/predict`, from before its first load to the end of the process. */
export interface Model {
  /** Starts a load where none is done or under way. A load that failed is tried again once its back-off is over. */
  load(): void;
  /** The generation that serves. */
  live(): Generation | undefined;
  /** Waits for the load under way, or starts one. @throws ServingError `NOT_READY` with the reason a load failed. */
  whenLive(): Promise<Generation>;
  status(): ModelStatus;
  close(): Promise<void>;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

/** @param label what the model is called until its files say otherwise. */
export function createModel(label: string, source: ModelSource, engine: EngineOptions, telemetry: Telemetry): Model {
  const { logger, metrics } = telemetry;
  let live: Generation | undefined;
  let loading: Promise<Generation> | undefined;
  let phase: LoadPhase | undefined;
  let failure: ServingError | undefined;
  let failures = 0;
  let retryAt = 0;
  let startedAt = 0;
  let seconds = 0;
  let bytes: number | undefined;
  let closed = false;

  async function prepare(): Promise<Generation> {
    startedAt = performance.now();
    let phaseAt = startedAt;
    let name = label;
    const enter = (next: LoadPhase | undefined): void => {
      const now = performance.now();
      if (phase !== undefined) metrics.model(name).load(phase, (now - phaseAt) / 1000);
      phaseAt = now;
      phase = next;
    };
    try {
      enter('fetching');
      const files = await source.fetch();
      name = files.name;
      bytes = files.bytes;
      const generation = await prepareGeneration(files, engine, telemetry, enter);
      if (closed) {
        await generation.close();
        throw new ServingError('DRAINING', 'the server is shutting down');
      }
      live = generation;
      failures = 0;
      failure = undefined;
      const { version } = generation;
      const how = generation.joined ? 'rows of different requests share a run' : 'one request a run';
      logger.info(`model ready: ${how}`, { model: name, version, seconds: elapsed(), bytes });
      return generation;
    } catch (error) {
      if (closed) throw error;
      failures++;
      failure =
        error instanceof ServingError ? error : new ServingError('MODEL_FAILED', String(error), { cause: error });
      retryAt = performance.now() + Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
      logger.error(`the model did not load: ${failure.message}`, { model: name, error });
      throw failure;
    } finally {
      seconds = elapsed();
      enter(undefined);
      loading = undefined;
    }
  }

  function elapsed(): number {
    return Math.round(performance.now() - startedAt) / 1000;
  }

  function begin(): Promise<Generation> | undefined {
    if (loading === undefined && live === undefined && performance.now() >= retryAt && !closed) {
      loading = prepare();
      // Whoever waits sees the error; without anyone it is in the status and the log.
      loading.catch(() => {});
    }
    return loading;
  }

  return {
    load: () => void begin(),
    live: () => live,
    async whenLive() {
      if (live !== undefined) return live;
      try {
        const under = begin();
        if (under !== undefined) return await under;
      } catch {}
      const retryAfter = Math.max(1, Math.ceil((retryAt - performance.now()) / 1000));
      throw new ServingError('NOT_READY', `the model is not ready: ${failure?.message ?? 'shutting down'}`, {
        retryAfter,
      });
    },
    status() {
      const fault = live?.fault();
      return {
        name: live?.name ?? label,
        version: live?.version,
        state:
          live !== undefined
            ? fault === undefined
              ? 'ready'
              : 'degraded'
            : loading
              ? 'loading'
              : failure
                ? 'failed'
                : 'idle',
        phase,
        bytes,
        seconds: loading === undefined ? seconds : elapsed(),
        reason: fault ?? (live === undefined ? failure?.message : undefined),
      };
    },
    async close() {
      closed = true;
      await live?.close();
      await loading?.catch(() => {});
    },
  };
}
