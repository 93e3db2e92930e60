import { type Feeds, joinRows } from '../../engine/batch-rows.ts';
import { defaultBatchBytes, engineCount } from '../../engine/capacity.ts';
import { privateBytes } from '../../engine/memory/private-bytes.ts';
import { createPool, type Pool } from '../../engine/pool.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import type { PatchedOutput, WeightState, WeightUse } from '../../engine/process/model-source.ts';
import { ServingError } from '../../errors.ts';
import { openPreprocessor } from '../../preprocess/open-preprocessor.ts';
import type { Preprocessor } from '../../preprocess/preprocessor.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import type { FirstEngine } from '../engine-plan.ts';
import type { ModelFiles } from '../folder/files.ts';
import { createRowDecoder, type RowDecoder, type RowFeeds } from '../folder/rows.ts';
import {
  type BatchingDecision,
  type BatchingEvidence,
  decideBatching,
  mayBatch,
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
const nothing = (): void => {};

/**
 * Loads the files into engine processes, checks the golden rows, decides whether rows may share a run, and warms up. Settles when
 * the first engine is warm; the others start after it.
 * @param countEngines gets the first engine, and returns how many engines to start now; there may be no memory for more before
 * another generation is closed
 * @throws ServingError `MODEL_FAILED` with onnxruntime's reason, or the golden row that differed
 */
export async function loadGeneration(
  files: ModelFiles,
  options: EngineOptions,
  telemetry: Telemetry,
  onPhase: (phase: LoadPhase) => void,
  countEngines: (first: FirstEngine) => number = () => Number.POSITIVE_INFINITY,
): Promise<Generation> {
  const { pool, start, lost } = openPool(files, options, telemetry);
  const opening = openPreparation(files, options, telemetry);
  opening?.catch(() => {});
  for (const note of files.notes ?? []) telemetry.logger.info(note, { model: files.name });
  try {
    onPhase('loading');
    const { signature: engine, patched, rows: graph, external, weights } = await start();
    const preprocessor = await opening;
    const signature = preprocessor?.signature(engine) ?? engine;
    checkManifest(files.manifest, signature, patched);
    logPatched(patched, files.name, telemetry);
    logWeights(weights, files.name, telemetry);
    onPhase('checking');
    const evidence = { signature: engine, manifest: files.manifest.batching, graph };
    const { batching, known } = await check({ files, pool, signature, preprocessor }, evidence);
    logDecision(batching, files.name, telemetry);
    onPhase('warming');
    const most = {
      rows: batching.enabled ? mostWarmUpRows(files.preparation, options.maxBatchSize) : 1,
      bytes: options.maxBatchBytes ?? defaultBatchBytes(options.capacity),
    };
    const sample = known.length === 0 ? await preprocessor?.sample() : undefined;
    const { runs, outputFactor } = await warmUp(pool, warmUpRow(files, known, engine, sample), most, lost);
    const { pid } = pool.engines()[0]!;
    const { mappedBytes } = weights;
    pool.grow(runs, countEngines({ privateBytes: pid === undefined ? undefined : privateBytes(pid), mappedBytes }));
    const loaded = { files, pool, preprocessor, signature, patched, external, batching, warmUp: runs, outputFactor };
    return createGeneration(loaded, options, telemetry);
  } catch (cause) {
    await Promise.all([pool.close(), opening?.then((preprocessor) => preprocessor.close(), nothing)]);
    if (cause instanceof ServingError && cause.code === 'MODEL_FAILED') throw cause;
    const { message } = cause as Error;
    const reason = message.startsWith(`${files.path}: `) ? message.slice(files.path.length + 2) : message;
    throw new ServingError('MODEL_FAILED', `${files.place}: ${reason}`, { cause });
  }
}

/** @returns `start`, which loads the first engine; `lost`, which rejects if the model cannot be loaded a second time. */
function openPool(files: ModelFiles, options: EngineOptions, { logger, metrics }: Telemetry) {
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
  return { pool, start, lost };
}

/** Starts the processes that prepare the model's inputs; undefined if callers send tensors. */
function openPreparation({ preparation, name }: ModelFiles, options: EngineOptions, { logger, metrics }: Telemetry) {
  if (preparation === undefined) return undefined;
  const { capacity, maxQueueSize } = options;
  return openPreprocessor(preparation, {
    capacity,
    maxQueueSize,
    onRestart(reason, detail) {
      metrics.engineRestarted(reason);
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
  if (files.golden !== undefined) {
    await checkGolden(files.golden, signature, decoder, async (feeds) => {
      const prepared = await prepareRow(feeds, preprocessor);
      const outputs = await pool.run(joinRows([{ feeds: prepared, first: 0, rows: 1 }]));
      return preprocessor?.finish?.(prepared, outputs) ?? outputs;
    });
  }
  const run = (inputs: readonly JoinedTensor[]): Promise<Tensor[]> => pool.run(inputs, TRIAL_MS);
  const batching = await decideBatching({ ...evidence, known, run });
  return { batching, known };
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
