import { type Feeds, joinRows } from '../../engine/batch-rows.ts';
import { defaultBatchBytes, engineCount } from '../../engine/capacity.ts';
import { privateBytes } from '../../engine/memory/private-bytes.ts';
import { createPool, type Pool } from '../../engine/pool.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import type { CompiledFiles, PatchedOutput, WeightState, WeightUse } from '../../engine/process/model-source.ts';
import type { LoadOrder } from '../../engine/process/session.ts';
import { ServingError } from '../../errors.ts';
import { openPreprocessor } from '../../preprocess/open-preprocessor.ts';
import type { Preprocessor } from '../../preprocess/preprocessor.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import type { CompiledModel } from '../compiled/compiled-models.ts';
import { type Compilation, createGrowth } from '../compiled/growth.ts';
import type { FirstEngine } from '../engine-plan.ts';
import type { ModelFiles } from '../folder/files.ts';
import { createRowDecoder, type RowDecoder, type RowFeeds } from '../folder/rows.ts';
import {
  type BatchingDecision,
  type BatchingEvidence,
  decideBatching,
  mayBatch,
  type Run,
  syntheticRow,
} from './batching-decision.ts';
import { createGeneration, type EngineOptions, type Generation, type Telemetry } from './generation.ts';
import { checkGolden } from './golden.ts';
import type { LoadPhase } from './load-failure.ts';
import { checkManifest } from './manifest-check.ts';
import { mostWarmUpRows, type WarmUpRow, warmUp } from './warm-up.ts';

/** The timeout of a trial run, shorter than that of a request's run, so that a row that never ends does not delay the start. */
const TRIAL_MS = 10_000;
/** The most classes that are named in a line of the log. */
const NAMED_CLASSES = 10;
/** What a process that tokenizes takes at work, of its memory when it has loaded. Measured: 1.0 to 1.25. */
const WORK_FACTOR = 1.25;
const nothing = (): void => {};

/**
 * Loads the files into engine processes, checks the golden rows, decides whether rows may share a run, and warms up. Settles when
 * the first engine is warm; the others start after it.
 * @param countEngines gets the first engine, and returns how many engines to start now; there may be no memory for more before
 * another generation is closed. It gets the first again when the model is compiled.
 * @param compiled the compiled form of the model, which is loaded in its place. If that fails, the model's own file is.
 * @throws ServingError `MODEL_FAILED` with onnxruntime's reason, or the golden row that differed
 */
export async function loadGeneration(
  files: ModelFiles,
  options: EngineOptions,
  telemetry: Telemetry,
  onPhase: (phase: LoadPhase) => void,
  countEngines: (first: FirstEngine) => number = () => Number.POSITIVE_INFINITY,
  compiled?: CompiledModel,
): Promise<Generation> {
  const load = (use?: CompiledFiles): Promise<Generation> =>
    loadFiles({ files, options, telemetry, onPhase, countEngines, compiled, use });
  if (compiled === undefined) return load();
  const loaded = compiled.files === undefined ? undefined : await load(compiled.files).catch(discard);
  return loaded ?? load().catch(release);

  async function discard(error: Error): Promise<undefined> {
    telemetry.logger.warning(`the compiled model is discarded: ${error.message}`, { model: files.name });
    await compiled!.discard();
  }

  function release(error: unknown): never {
    compiled!.release();
    throw error;
  }
}

interface LoadOptions {
  readonly files: ModelFiles;
  readonly options: EngineOptions;
  readonly telemetry: Telemetry;
  readonly onPhase: (phase: LoadPhase) => void;
  readonly countEngines: (first: FirstEngine) => number;
  readonly compiled: CompiledModel | undefined;
  /** The compiled files that are loaded. */
  readonly use: CompiledFiles | undefined;
}

async function loadFiles(load: LoadOptions): Promise<Generation> {
  const { files, options, telemetry, onPhase, countEngines, compiled, use } = load;
  const { pool, order, start, lost } = openPool(files, options, telemetry, use);
  onPhase('loading');
  const starting = start();
  const opening = openPreparation(files, options, telemetry, starting);
  opening?.catch(() => {});
  for (const note of files.notes ?? []) telemetry.logger.info(note, { model: files.name });
  try {
    const { signature: engine, patched, rows: graph, external, weights } = await starting;
    const isCompiled = weights.use === 'compiled';
    if (isCompiled) await compiled!.isOfModel;
    else if (use !== undefined) {
      // It did not load: it is made again.
      order.compiled = undefined;
      await compiled!.discard();
    }
    const preprocessor = await opening;
    const signature = preprocessor?.signature(engine) ?? engine;
    checkManifest(files.manifest, signature, patched);
    logPatched(patched, files.name, telemetry);
    logWeights(weights, files.name, telemetry);
    onPhase('checking');
    const evidence = { signature: engine, manifest: files.manifest.batching, graph };
    const { batching, known, golden } = await check({ files, pool, signature, preprocessor }, evidence);
    logDecision(batching, files.name, telemetry);
    onPhase('warming');
    const most = {
      rows: batching.enabled ? mostWarmUpRows(files.preparation, options.maxBatchSize) : 1,
      bytes: options.maxBatchBytes ?? defaultBatchBytes(options.capacity),
    };
    const sample = known.length === 0 ? await preprocessor?.sample() : undefined;
    const { runs, outputFactor } = await warmUp(pool, warmUpRow(files, known, engine, sample), most, lost);
    const first = {
      privateBytes: bytesOf(pool),
      mappedBytes: weights.mappedBytes,
      isCompiled,
      preparingBytes: preparingBytes(files, preprocessor),
    };
    const engines = countEngines(first);
    const trial = { runs: () => runs, first, check: golden };
    const compilation = weights.use === 'packed' ? compilationOf(load, order, trial) : undefined;
    const growth = createGrowth(pool, runs, compilation, files.name, telemetry.logger);
    growth.grow(engines);
    const made = { files, pool, preprocessor, signature, patched, external };
    const loaded = { ...made, batching, growth, compiled, outputFactor };
    return createGeneration(loaded, options, telemetry);
  } catch (cause) {
    await Promise.all([pool.close(), opening?.then((preprocessor) => preprocessor.close(), nothing)]);
    if (cause instanceof ServingError && cause.code === 'MODEL_FAILED') throw cause;
    const { message } = cause as Error;
    const reason = message.startsWith(`${files.path}: `) ? message.slice(files.path.length + 2) : message;
    throw new ServingError('MODEL_FAILED', `${files.place}: ${reason}`, { cause });
  }
}

/** What is compiled if that pays. @param order of the engines, which load the result from then on */
function compilationOf(
  { files, options, countEngines, compiled }: LoadOptions,
  order: { compiled: CompiledFiles | undefined } & LoadOrder,
  trial: Pick<Compilation, 'runs' | 'first' | 'check'>,
): Compilation | undefined {
  if (compiled === undefined) return undefined;
  const { loadTimeoutMs, runTimeoutMs } = options;
  return {
    ...{ ...trial, loadTimeoutMs, runTimeoutMs, countEngines },
    model: compiled,
    order: { ...order, compiled: undefined },
    bytes: files.bytes,
    onCompiled(made) {
      order.compiled = made;
    },
  };
}

/** @returns `start`, which loads the first engine; `lost`, which rejects if the model cannot be loaded a second time. */
function openPool(
  files: ModelFiles,
  options: EngineOptions,
  { logger, metrics }: Telemetry,
  compiled: CompiledFiles | undefined,
) {
  const { path, stamps, name } = files;
  const { intraOpThreads, executionProviders, runTimeoutMs, loadTimeoutMs, memoryLimit, weights } = options;
  // Only the first engine reads the graph.
  const use: WeightUse = weights === 'mapped' ? 'mapped' : 'packed';
  const { preparation } = files;
  const order = {
    path,
    stamps,
    intraOpThreads,
    executionProviders,
    weights: use,
    preparation,
    compiled,
    findsRowIndependence: true,
  };
  const { promise: lost, reject } = Promise.withResolvers<never>();
  lost.catch(() => {});
  const pool = createPool({
    size: options.processes ?? engineCount(options.capacity, files.bytes, intraOpThreads),
    order,
    runTimeoutMs,
    memoryLimit,
    ...(loadTimeoutMs !== undefined && { loadTimeoutMs }),
    onRestart(reason, detail, delayMs) {
      metrics.engineRestarted(reason);
      if (reason === 'compiled') return;
      if (reason === 'memory') {
        logger.warning(`an engine process was replaced: ${detail}`, { model: name, reason });
        return;
      }
      const next = delayMs === 0 ? 'replacing it now' : `replacing it in ${delayMs} ms`;
      logger.error(`an engine process was lost (${detail}); ${next}`, { model: name, reason });
      if (reason === 'load_failed') reject(new RunError('crashed', `the model does not load a second time: ${detail}`));
    },
  });
  async function start() {
    const loaded = await pool.start();
    order.findsRowIndependence = false;
    return loaded;
  }
  return { pool, order, start, lost };
}

/** The memory of the first process of a pool; undefined if it cannot be measured. */
function bytesOf({ engines }: Pick<Pool, 'engines'>): number | undefined {
  const { pid } = engines()[0]!;
  return pid === undefined ? undefined : privateBytes(pid);
}

/**
 * What all processes that tokenize take, by the first of them, which has its vocabulary. Those that decode pictures do not have their
 * size before they work.
 */
function preparingBytes({ preparation }: ModelFiles, preprocessor: Preprocessor | undefined): number | undefined {
  const first = preparation?.kind === 'text' ? bytesOf(preprocessor!.processes) : undefined;
  return first === undefined ? undefined : Math.ceil(WORK_FACTOR * first) * preprocessor!.processes.engines().length;
}

/** Starts the processes that prepare the model's inputs; undefined if callers send tensors. @param starting the first engine */
function openPreparation(
  { preparation, name, manifest }: ModelFiles,
  options: EngineOptions,
  { logger, metrics }: Telemetry,
  starting: Promise<{ signature: Signature }>,
) {
  if (preparation === undefined) return undefined;
  const { capacity, preparingProcesses = 1, pictureTurns, maxQueueSize, runTimeoutMs } = options;
  const engine = starting.then(({ signature }) => signature);
  engine.catch(() => {});
  return openPreprocessor(preparation, {
    capacity,
    processes: preparingProcesses,
    pictureTurns,
    maxQueueSize,
    runTimeoutMs,
    engine,
    manifest,
    onRestart(reason, detail) {
      metrics.preparingRestarted(reason);
      if (reason === 'memory') {
        logger.warning(`a process that prepares inputs was replaced: ${detail}`, { model: name, reason });
        return;
      }
      logger.error(`a process that prepares inputs was lost, and is replaced: ${detail}`, { model: name, reason });
    },
  });
}

/** What a model's rows are checked with. */
interface Checked {
  readonly files: ModelFiles;
  readonly pool: Pool;
  /** What callers see. */
  readonly signature: Signature;
  readonly preprocessor: Preprocessor | undefined;
}

/** Runs the golden rows, and decides whether rows share runs. */
async function check(
  { files, pool, signature, preprocessor }: Checked,
  evidence: Omit<BatchingEvidence, 'known' | 'run'>,
) {
  const joins = preprocessor !== undefined || mayBatch(evidence);
  const decoder = createRowDecoder(signature, files.manifest.input?.features, joins);
  const known = await Promise.all(knownRows(files, decoder).map((row) => prepareRow(row, preprocessor)));
  const golden = async (run: Run): Promise<void> => {
    if (files.golden === undefined) return;
    await checkGolden(files.golden, signature, decoder, async (feeds) => {
      const prepared = await prepareRow(feeds, preprocessor);
      const outputs = await run(joinRows([{ feeds: prepared, first: 0, rows: 1 }]));
      return preprocessor?.finish?.(prepared, outputs, { cancelled: false }) ?? outputs;
    });
  };
  await golden(pool.run);
  const run = (inputs: readonly JoinedTensor[]): Promise<Tensor[]> => pool.run(inputs, TRIAL_MS);
  const batching = await decideBatching({ ...evidence, known, run });
  return { batching, known, golden };
}

/** A row of the model's files as the engine takes it. @throws ServingError `INVALID_INPUT` */
async function prepareRow(feeds: Feeds, preprocessor: Preprocessor | undefined): Promise<Feeds> {
  if (preprocessor === undefined) return feeds;
  const [row] = await preprocessor.prepare(feeds, { cancelled: false });
  if ('error' in row!) throw row.error;
  return row!.feeds;
}

/** The valid rows from the model's files: golden rows, then the example. */
function knownRows({ golden, manifest }: ModelFiles, decoder: RowDecoder): RowFeeds[] {
  const rows = (golden?.rows ?? []).map((row, i) => decoder.decode(row.features, `golden.json: rows[${i}].features`));
  if (manifest.example !== undefined) {
    rows.push(decoder.decode(manifest.example.features, 'model.json: example.features'));
  }
  return rows;
}

/** The last of the known rows, which is the example if there is one: the golden rows have run already. */
function warmUpRow(
  { manifest }: ModelFiles,
  known: readonly Feeds[],
  engine: Signature,
  sample: Feeds | undefined,
): WarmUpRow {
  const feeds = known.at(-1);
  if (feeds === undefined) return { feeds: sample ?? syntheticRow(engine, undefined, 0), place: undefined };
  return { feeds, place: manifest.example === undefined ? 'golden.json: its last row' : 'model.json: example' };
}

function logPatched(patched: readonly PatchedOutput[], model: string, { logger }: Telemetry): void {
  for (const { output, labels } of patched) {
    const classes = [...labels.slice(0, NAMED_CLASSES), ...(labels.length > NAMED_CLASSES ? ['…'] : [])].join(', ');
    logger.info(`output ${output}: ZipMap removed, so it is a tensor; its classes are ${classes}`, { model });
  }
}

function logWeights({ use, mappedBytes, why }: WeightState, model: string, { logger }: Telemetry): void {
  const detail = why === undefined ? `${mappedBytes} bytes of the file are mapped` : why;
  logger.debug(`weights are ${use}: ${detail}`, { model });
}

function logDecision({ decidedBy, enabled, reason }: BatchingDecision, model: string, { logger }: Telemetry): void {
  const log = decidedBy === 'trial' && !enabled ? logger.warning : logger.info;
  log(`${enabled ? 'rows of different requests share a run' : 'one request a run'}: ${reason}`, { model });
}
