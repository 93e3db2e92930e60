import type { Feeds } from '../../engine/batch-rows.ts';
import { joinRows, rowBytes, rowsInRun } from '../../engine/batch-rows.ts';
import {
  type AdmissionOptions,
  type Batcher,
  type Cancellation,
  createBatcher,
  type Outcome,
} from '../../engine/batcher.ts';
import { type Capacity, engineCount } from '../../engine/capacity.ts';
import { RunError } from '../../engine/engine-process.ts';
import type { JoinedTensor } from '../../engine/frame.ts';
import { createPool, type EngineView, type Pool } from '../../engine/pool.ts';
import type { PatchedOutput } from '../../engine/session.ts';
import { ServingError } from '../../errors.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import type { ModelFiles } from '../folder/files.ts';
import type { Manifest } from '../folder/manifest.ts';
import { createRowDecoder, type RowDecoder, type RowFeeds } from '../folder/rows.ts';
import { type BatchingDecision, decideBatching, madeUpRow, mayBatch } from './batching-decision.ts';
import { checkGolden } from './golden.ts';
import { IN_THE_LOG, type LoadPhase } from './load-failure.ts';
import { checkManifest } from './manifest-check.ts';
import { createExplainFailure } from './unequal-dims.ts';
import { createUsageCount } from './usage-count.ts';

export interface EngineOptions {
  readonly capacity: Capacity;
  /** Engine processes; undefined: as many as CPUs and memory allow. */
  readonly processes: number | undefined;
  readonly intraOpThreads: number;
  readonly executionProviders: readonly string[];
  readonly maxBatchSize: number;
  readonly batchDelayMs: number;
  readonly maxQueueSize: number;
  readonly runTimeoutMs: number;
}

export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A model that serves: its files as they were when loaded, in engine processes of its own. */
export interface Generation {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
  readonly signature: Signature;
  readonly manifest: Manifest;
  /** Whether rows of different requests share runs now, and why: a run that shows that they must not ends it. */
  readonly batching: BatchingDecision;
  /** `batching.enabled`. */
  readonly joined: boolean;
  readonly rows: RowDecoder;
  /** Outputs that the model itself has class labels for, by column. */
  readonly labelled: readonly Pick<PatchedOutput, 'output' | 'labels'>[];
  /** @throws ServingError as the batcher does; `NOT_READY` while its engines crash in a loop. */
  predict(feeds: Feeds, cancellation: Cancellation, options?: AdmissionOptions): Promise<readonly Outcome[]>;
  queueDepth(): number;
  engines(): EngineView[];
  /** Why it cannot predict now, for the operator's log. */
  fault(): string | undefined;
  /** Its files are no longer those that were listed: no engine can load them again. */
  stale(): boolean;
  /** Keeps it until `release`. A caller that holds it twice releases it twice. */
  hold(): void;
  release(): void;
  /** The usage count is 0. */
  idle(): boolean;
  /** Milliseconds of `performance.now()` at which it was held or released last. */
  lastUsed(): number;
  /** Aborted some time after it has been replaced: streams that still hold it should end. */
  readonly superseded: AbortSignal;
  /** Where its weights lie, by path from the folder of its file, as its engine has found them. */
  readonly external: readonly string[];
  /** Starts engines up to this number. */
  grow(engines: number): void;
  /** Ends the engines when the usage count is 0. Settles when they have exited. */
  retire(): Promise<void>;
  close(): Promise<void>;
}

/** How rows are read, which is another way where they are not joined. */
interface RowForm {
  readonly joined: boolean;
  readonly rows: RowDecoder;
}

/** A made-up row that a model never finishes must not hold up the start for as long as a real one may take. */
const TRIAL_MS = 10_000;
/** Longest that the largest warm-up batch may be expected to take. */
const WARM_UP_MS = 1000;
/** How many classes a line of the log names. */
const NAMED_CLASSES = 10;

/**
 * Loads the files into engine processes, checks the golden rows, finds out whether rows may share a run, and warms up.
 * Settles when the first engine is warm; the others start behind it.
 * @param startEngines how many of the engines are started for now: there is no room for more before another has gone.
 * @throws ServingError `MODEL_FAILED` with onnxruntime's reason, or the golden row that differed.
 */
export async function prepareGeneration(
  files: ModelFiles,
  options: EngineOptions,
  { logger, metrics }: Telemetry,
  onPhase: (phase: LoadPhase) => void,
  startEngines = Number.POSITIVE_INFINITY,
): Promise<Generation> {
  const { manifest, name, version } = files;
  const { intraOpThreads, executionProviders, runTimeoutMs } = options;
  const processes = options.processes ?? engineCount(options.capacity, files.bytes, intraOpThreads);
  const { path, stamps } = files;
  const order = { path, stamps, intraOpThreads, executionProviders, findsRowIndependence: true };
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {});
  const pool = createPool({
    size: processes,
    order,
    runTimeoutMs,
    onRestart(reason, detail, delayMs) {
      metrics.engineRestarted(reason);
      const next = delayMs === 0 ? 'replacing it now' : `replacing it in ${delayMs} ms`;
      logger.error(`an engine process was lost (${detail}); ${next}`, { model: name, reason });
      if (reason === 'load_failed')
        lost.reject(new RunError('crashed', `the model does not load a second time: ${detail}`));
    },
  });
  try {
    onPhase('loading');
    const loaded = await pool.start();
    const { signature, patched } = loaded;
    order.findsRowIndependence = false;
    checkManifest(manifest, signature);
    for (const { output, labels } of patched) {
      const classes = [...labels.slice(0, NAMED_CLASSES), ...(labels.length > NAMED_CLASSES ? ['…'] : [])].join(', ');
      const message = `output ${output}: ZipMap removed, so it is a tensor; its classes are ${classes}`;
      logger.info(message, { model: name });
    }

    onPhase('checking');
    const evidence = { signature, manifest: manifest.batching, graph: loaded.rows };
    const formOf = (joined: boolean): RowForm => ({
      joined,
      rows: createRowDecoder(signature, manifest.input?.features, joined),
    });
    const decoder = formOf(mayBatch(evidence)).rows;
    const known = knownRows(files, decoder);
    if (files.golden !== undefined) await checkGolden(files.golden, signature, decoder, pool.run);
    const run = (inputs: readonly JoinedTensor[]): Promise<Tensor[]> => pool.run(inputs, TRIAL_MS);
    let batching = await decideBatching({ ...evidence, known, run });
    let form = formOf(batching.enabled);
    const log = batching.decidedBy === 'trial' && !batching.enabled ? logger.warning : logger.info;
    const how = batching.enabled ? 'rows of different requests share a run' : 'one request a run';
    log(`${how}: ${batching.reason}`, { model: name });

    onPhase('warming');
    // The example goes last of what is known: the golden rows before it have been run.
    const example = known.at(-1) ?? madeUpRow(signature, undefined, 0);
    const place = manifest.example === undefined ? 'golden.json: its last row' : 'model.json: example';
    const back = (): Promise<void> => Promise.race([untilFree(pool), lost.promise]);
    const warm = await warmUp(
      pool,
      example,
      batching.enabled ? options.maxBatchSize : 1,
      known.length > 0 ? place : undefined,
      back,
    );
    pool.grow(warm, startEngines);
    const holds = createUsageCount();

    const recorder = metrics.model(name);
    const statistics = metrics.statistics.of(name, version);
    const batcher: Batcher = createBatcher(pool, {
      join: batching.enabled,
      maxBatchSize: options.maxBatchSize,
      delayMs: options.batchDelayMs,
      maxQueueSize: options.maxQueueSize,
      onMisfit(what) {
        batching = { enabled: false, decidedBy: 'guard', reason: what };
        form = formOf(false);
        logger.error(`rows of different requests no longer share a run: ${what}`, { model: name });
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
    const explain = createExplainFailure(signature);
    return {
      name,
      version,
      bytes: files.bytes,
      signature,
      manifest,
      get batching() {
        return batching;
      },
      get joined() {
        return form.joined;
      },
      get rows() {
        return form.rows;
      },
      labelled: patched,
      predict(feeds, cancellation, admission) {
        const fault = pool.fault();
        if (fault === undefined) {
          const outcomes = batcher.predict(feeds, cancellation, admission);
          return explain === undefined ? outcomes : outcomes.then((settled) => explain(settled, feeds));
        }
        const message = `the model's engine processes keep ending, and are replaced: ${IN_THE_LOG}`;
        const retryAfter = Math.ceil(fault.retryInMs / 1000) || 1;
        return Promise.reject(new ServingError('NOT_READY', message, { retryAfter, detail: fault.reason }));
      },
      queueDepth: batcher.depth,
      engines: pool.engines,
      fault: () => pool.fault()?.reason,
      stale: () => pool.fault()?.code === 'FILE_CHANGED',
      ...holds,
      external: loaded.external,
      grow: (engines) => pool.grow(warm, engines),
      async retire() {
        await holds.left();
        await pool.close();
      },
      close: pool.close,
    };
  } catch (cause) {
    await pool.close();
    if (cause instanceof ServingError && cause.code === 'MODEL_FAILED') throw cause;
    const { message } = cause as Error;
    const reason = message.startsWith(`${files.path}: `) ? message.slice(files.path.length + 2) : message;
    throw new ServingError('MODEL_FAILED', `${files.place}: ${reason}`, { cause });
  }
}

/** The rows that the model's files vouch for: golden rows, then the example. */
function knownRows({ golden, manifest }: ModelFiles, decoder: RowDecoder): RowFeeds[] {
  const rows = (golden?.rows ?? []).map((row, i) => decoder.decode(row.features, `golden.json: rows[${i}].features`));
  if (manifest.example !== undefined) {
    rows.push(decoder.decode(manifest.example.features, 'model.json: example.features'));
  }
  return rows;
}

/**
 * Runs one row, then as many as a run may take if that is over soon. Gives the feeds, for the other engines to do the same.
 * @param place of the row, where it is one that the model's files vouch for.
 * @param back settles once an engine is free: a trial row may have ended the only one that was started.
 * @throws RunError where a known row fails, never ends, or ends the process: such a model must not take another's place; and
 * where the engine does not come back.
 */
async function warmUp(
  pool: Pool,
  example: Feeds,
  maxBatchSize: number,
  place: string | undefined,
  back: () => Promise<void>,
) {
  const one = joinRows([{ feeds: example, first: 0, rows: 1 }]);
  const feeds = [one];
  await back();
  try {
    const started = performance.now();
    await pool.run(one);
    const rows = rowsInRun(rowBytes(example.tensors, 1), maxBatchSize);
    if (rows > 1 && (performance.now() - started) * rows < WARM_UP_MS) {
      const many = joinRows(Array.from({ length: rows }, () => ({ feeds: example, first: 0, rows: 1 })));
      feeds.push(many);
      await pool.run(many);
    }
    return feeds;
  } catch (error) {
    // A row that is sound alone may be one of more than this machine can run at once: the batcher makes such runs smaller.
    const tooMany = feeds.length > 1 && error instanceof RunError && error.fault === 'failed';
    if (place !== undefined && !tooMany) throw explain(error, place);
    await back();
    // Made-up values may be out of a model's domain: its first request is then its warm-up.
    return tooMany ? [one] : [];
  }
}

function explain(error: unknown, place: string): unknown {
  if (!(error instanceof RunError)) return error;
  return new RunError(error.fault, `${place} does not run: ${error.message}`);
}

/** Settles once an engine could start a run. */
function untilFree(pool: Pool): Promise<void> {
  if (pool.free() > 0) return Promise.resolve();
  return new Promise((resolve) => pool.onFree(resolve));
}
