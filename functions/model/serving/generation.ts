import type { Feeds } from '../../engine/batch-rows.ts';
import {
  type AdmissionOptions,
  type Batcher,
  createBatcher,
  type Outcome,
  type RequestTerms,
} from '../../engine/batcher.ts';
import { type Capacity, defaultBatchBytes } from '../../engine/capacity.ts';
import type { WatchedEngine } from '../../engine/memory/memory-watch.ts';
import type { EngineView, Pool, PoolFault } from '../../engine/pool.ts';
import type { Preparation } from '../../engine/prepared/preparation.ts';
import { BYTES_PER_TOKEN } from '../../engine/prepared/text-meta.ts';
import type { PatchedOutput } from '../../engine/process/model-source.ts';
import { ServingError } from '../../errors.ts';
import type { PictureTurns } from '../../preprocess/picture-turns.ts';
import { predictPrepared } from '../../preprocess/predict-prepared.ts';
import type { PreprocessOptions, Preprocessor } from '../../preprocess/preprocessor.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { Signature } from '../../tensor/tensor.ts';
import type { Activity } from '../activity.ts';
import type { CompiledModel, CompiledModels } from '../compiled/compiled-models.ts';
import type { Growth } from '../compiled/growth.ts';
import type { WeightSetting } from '../engine-plan.ts';
import type { ModelFiles } from '../folder/files.ts';
import type { GoldenRow, Manifest } from '../folder/manifest.ts';
import { createRowDecoder, type RowDecoder } from '../folder/rows.ts';
import { shortRows } from '../folder/short-rows.ts';
import type { BatchingDecision } from './batching-decision.ts';
import { IN_THE_LOG } from './load-failure.ts';
import { createExplainFailure } from './unequal-dims.ts';
import { createUsageCount } from './usage-count.ts';

/** The settings of a model's engine processes and of its batcher. */
export interface EngineOptions {
  readonly capacity: Capacity;
  /** Engine processes; undefined: as many as CPUs and memory allow. */
  readonly processes: number | undefined;
  /** Processes that prepare the inputs. Default: one. */
  readonly preparingProcesses?: number | undefined;
  /** What all models that decode pictures share: see `PreprocessorOptions`. */
  readonly pictureTurns?: PictureTurns | undefined;
  /** Threads of each engine process. */
  readonly intraOpThreads: number;
  /** onnxruntime's names, in the order of preference. */
  readonly executionProviders: readonly string[];
  /** `WEIGHTS`. Default: auto, which is packed where no memory is planned. */
  readonly weights?: WeightSetting;
  /** Default: models are not compiled. */
  readonly compiledModels?: CompiledModels | undefined;
  /** The most rows of a run. */
  readonly maxBatchSize: number;
  /** The most bytes of the inputs of a joined run, and of its outputs. Default: {@link defaultBatchBytes}. */
  readonly maxBatchBytes?: number | undefined;
  /** The most tokens of a joined run of texts, with their padding. Default: see {@link defaultBatchTokens}. */
  readonly maxBatchTokens?: number | undefined;
  /** The longest time that a row waits for others to share its run. */
  readonly batchDelayMs: number;
  /** The most rows that may wait. */
  readonly maxQueueSize: number;
  /** The time after which a run's engine process is killed. */
  readonly runTimeoutMs: number;
  /** The time after which an engine process that loads the model is killed. Default: ten minutes. */
  readonly loadTimeoutMs?: number;
  /** Bytes of memory that one engine process may take, with its runs. Default: no limit. */
  readonly memoryLimit?: (() => number) | undefined;
}

/**
 * An encoder of 6 layers and 384 dimensions, on one CPU: 5500 tokens a second in runs of 128, 6400 in runs of 512, 6100 of 1024, 5500 of
 * 4096. With texts of 3 to 400 tokens, a text takes less CPU time in runs of 512 than in runs of 1024. Longer runs only delay the rows
 * behind them. Other providers compute the tokens of a run at the same time.
 */
const CPU_BATCH_TOKENS = 512;
const OTHER_BATCH_TOKENS = 16_384;

/** The log and the metrics. */
export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A model that serves: its files as they were when loaded, in its own engine processes. */
export interface Generation {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
  /** What callers see: for a model of texts or pictures, not the signature of its engines. */
  readonly signature: Signature;
  /** What callers send instead of tensors; undefined: tensors. */
  readonly preparation: Preparation | undefined;
  readonly manifest: Manifest;
  /** Some of the golden rows, in their order: those that are short enough to be shown. */
  readonly examples: readonly GoldenRow[];
  /** Whether rows of different requests share runs now, and why. A run that shows that they must not changes it. */
  readonly batching: BatchingDecision;
  /**
   * Whether the feeds of `predict` are rows: `batching.enabled`, for then runs join rows of different requests; always for a model of
   * texts or pictures.
   */
  readonly joinsRows: boolean;
  readonly rows: RowDecoder;
  /** Outputs for which the model file has class labels, by column. */
  readonly labelled: readonly Pick<PatchedOutput, 'output' | 'labels'>[];
  /** Runs rows: see `Batcher.predict`. @throws ServingError as the batcher does; `NOT_READY` if its engines crash in a loop. */
  predict(
    feeds: Feeds,
    terms: RequestTerms,
    options?: AdmissionOptions & PreprocessOptions,
  ): Promise<readonly Outcome[]>;
  /** The tokens of texts: see `Preprocessor.tokenize`. Undefined if the model's inputs are not texts. */
  readonly tokenize: Preprocessor['tokenize'];
  /** Decides whether a request could be queued now: see `Batcher.refuse`. */
  refuse(terms: RequestTerms): ServingError | undefined;
  /** Rows in the queue. */
  queueDepth(): number;
  engines(): EngineView[];
  /** Its engines and the processes that prepare its inputs, with what replaces one that takes too much memory. */
  watched(): WatchedEngine[];
  /** Why it cannot predict now, for the operator's log. */
  fault(): string | undefined;
  /** Whether its files have changed since they were listed, so that no engine can load them again. */
  stale(): boolean;
  /** Increments the usage count: it is not closed until `release`. A caller that holds it twice releases it twice. */
  hold(): void;
  release(): void;
  /** Whether the usage count is 0. */
  idle(): boolean;
  /** `performance.now()` when it was last held or released. */
  lastUsed(): number;
  /** When it was held. */
  readonly activity: Activity;
  /** Aborted a minute after it has been replaced: streams that still hold it should end. */
  readonly superseded: AbortSignal;
  /** The locations of its weights, as its engine has found them: paths relative to the folder of its file. */
  readonly external: readonly string[];
  /** Starts engines up to this number. */
  grow(engines: number): void;
  /** Ends the engines when the usage count is 0. Settles when they have exited. */
  retire(): Promise<void>;
  close(): Promise<void>;
}

/** A model whose first engine is loaded, checked and warm. */
interface LoadedModel {
  readonly files: ModelFiles;
  readonly pool: Pool;
  readonly preprocessor: Preprocessor | undefined;
  /** What callers see. */
  readonly signature: Signature;
  readonly patched: readonly PatchedOutput[];
  readonly external: readonly string[];
  readonly batching: BatchingDecision;
  readonly growth: Growth;
  readonly compiled: CompiledModel | undefined;
  /** See `FormerOptions`. */
  readonly outputFactor: number;
}

/** Creates the generation of a loaded model. */
export function createGeneration(model: LoadedModel, options: EngineOptions, telemetry: Telemetry): Generation {
  const { files, pool, preprocessor, signature, patched, external, growth, compiled } = model;
  const { name, version, bytes, manifest } = files;
  let { batching } = model;
  const joinsRows = (): boolean => preprocessor !== undefined || batching.enabled;
  const decoder = (): RowDecoder => createRowDecoder(signature, manifest.input?.features, joinsRows());
  let rows = decoder();
  const batcher = createMeteredBatcher(model, options, telemetry, (reason) => {
    batching = { enabled: false, decidedBy: 'guard', reason };
    rows = decoder();
  });
  const explain = createExplainFailure(signature);
  const usage = createUsageCount();
  const faults = (): PoolFault[] =>
    [pool.fault(), preprocessor?.processes.fault()].filter((fault) => fault !== undefined);
  async function end(): Promise<void> {
    await Promise.all([growth.stop(), pool.close(), preprocessor?.close()]);
  }
  return {
    name,
    version,
    bytes,
    signature,
    preparation: files.preparation,
    manifest,
    examples: shortRows(files.golden?.rows ?? []),
    get batching() {
      return batching;
    },
    get joinsRows() {
      return joinsRows();
    },
    get rows() {
      return rows;
    },
    labelled: patched,
    refuse: (terms) => batcher.refuse(terms) ?? preprocessor?.refuse(terms),
    predict(feeds, terms, admission) {
      const fault = pool.fault();
      if (fault === undefined) {
        if (preprocessor !== undefined) {
          const joined = batching.enabled;
          return predictPrepared({ preprocessor, batcher, joinsRows: joined }, feeds, terms, admission);
        }
        const outcomes = batcher.predict(feeds, terms, admission);
        return explain === undefined ? outcomes : outcomes.then((settled) => explain(settled, feeds));
      }
      return Promise.reject(enginesKeepEnding(fault));
    },
    tokenize: preprocessor?.tokenize,
    queueDepth: () => batcher.depth() + (preprocessor?.depth() ?? 0),
    engines: pool.engines,
    watched: () =>
      [pool, ...(preprocessor === undefined ? [] : [preprocessor.processes])].flatMap((one) => watch(one, name)),
    fault: () => faults()[0]?.reason,
    stale: () => faults().some(({ code }) => code === 'FILE_CHANGED'),
    hold: usage.hold,
    release: usage.release,
    idle: usage.idle,
    lastUsed: usage.lastUsed,
    activity: usage.activity,
    superseded: usage.superseded,
    external,
    grow: growth.grow,
    async retire() {
      await usage.drained();
      await end();
      await compiled?.remove();
    },
    async close() {
      compiled?.release();
      await end();
    },
  };
}

/** The processes of a pool as they are watched. */
function watch({ engines, recycle }: Pick<Pool, 'engines' | 'recycle'>, model: string): WatchedEngine[] {
  return engines().map((engine) => ({
    ...engine,
    model,
    recycle: (detail, startsFirst) => recycle(engine.slot, detail, startsFirst),
  }));
}

function enginesKeepEnding({ retryInMs, reason }: PoolFault): ServingError {
  const message = `the model's engine processes keep ending, and are replaced: ${IN_THE_LOG}`;
  const retryAfter = Math.ceil(retryInMs / 1000) || 1;
  return new ServingError('NOT_READY', message, { retryAfter, detail: reason });
}

/** @param onMisfit called when the outputs of a run had not one row for each input row: from then on no run is shared. */
function createMeteredBatcher(
  { files: { name, version, preparation }, pool, batching, outputFactor }: LoadedModel,
  options: EngineOptions,
  { logger, metrics }: Telemetry,
  onMisfit: (reason: string) => void,
): Batcher {
  const { capacity, maxBatchSize, maxBatchBytes, batchDelayMs, maxQueueSize } = options;
  const { maxBatchTokens = defaultBatchTokens(options.executionProviders) } = options;
  const runner = preparation?.kind === 'text' ? boundTokens(pool, maxBatchTokens) : pool;
  const recorder = metrics.model(name);
  const statistics = metrics.statistics.of(name, version);
  return createBatcher(runner, {
    join: batching.enabled,
    maxBatchSize,
    maxBatchBytes: maxBatchBytes ?? defaultBatchBytes(capacity),
    outputFactor,
    delayMs: batchDelayMs,
    maxQueueSize,
    fault() {
      const fault = pool.fault();
      return fault?.persists === true ? enginesKeepEnding(fault) : undefined;
    },
    onMisfit(reason) {
      onMisfit(reason);
      logger.error(`rows of different requests no longer share a run: ${reason}`, { model: name });
    },
    onRun(rows, seconds) {
      recorder.run(rows, seconds);
      statistics.run(rows, seconds);
    },
    onWait(seconds) {
      recorder.queueWait(seconds);
      statistics.wait(seconds);
    },
    onSettled(outcomes, seconds) {
      const good = outcomes.reduce((sum, one) => sum + ('error' in one ? 0 : one.rows), 0);
      if (good > 0) recorder.latency(seconds, good);
      statistics.settled(!outcomes.some((one) => 'error' in one), seconds);
    },
  });
}

export function defaultBatchTokens(executionProviders: readonly string[]): number {
  return executionProviders.every((provider) => provider === 'cpu') ? CPU_BATCH_TOKENS : OTHER_BATCH_TOKENS;
}

/** A pool whose runs of several rows have at most so many tokens, with their padding. */
function boundTokens(pool: Pool, tokens: number): Pool {
  const bytes = tokens * BYTES_PER_TOKEN;
  return { ...pool, mostRunBytes: () => Math.min(bytes, pool.mostRunBytes()) };
}
