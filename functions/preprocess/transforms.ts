import type { ChildProcess } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Feeds, rowBytes } from '../engine/batch-rows.ts';
import { type Batcher, createBatcher, type Outcome } from '../engine/batcher.ts';
import type { Capacity } from '../engine/capacity.ts';
import { createPool, type Pool } from '../engine/pool.ts';
import type { CodePreparation } from '../engine/prepared/preparation.ts';
import { RunError } from '../engine/process/engine-process.ts';
import { spawnSandboxed } from '../engine/process/spawn.ts';
import { ServingError } from '../errors.ts';
import { sliceRows } from '../tensor/compare.ts';
import type { Signature, Tensor, TensorSpec } from '../tensor/tensor.ts';
import type { PreparedRow, Preprocessor, PreprocessorOptions } from './preprocessor.ts';
import type { TransformExports, TransformFault, TransformOrder } from './process/transform-fault.ts';

const ENTRY = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './process/transform-worker.ts' : './transform-worker.js', import.meta.url),
);
/** The most rows of a run: they share its deadline. */
const MOST_ROWS = 64;
const LOAD_TIMEOUT_MS = 60_000;
/** Of the memory, and in MiB: what the objects of one process may take. */
const HEAP_SHARE = 1 / 8;
const LEAST_HEAP_MIB = 64;
const MOST_HEAP_MIB = 512;

/** The input that callers see in place of the model's: any JSON. */
const FEATURES: TensorSpec = { name: 'features', dtype: 'string', shape: [-1], json: true };
/** The output that callers see in place of the model's: any JSON. */
const RESULT: TensorSpec = { name: 'result', dtype: 'string', shape: [-1], json: true };

/**
 * Starts the processes that run a model's `transform.ts`. The first starts while the engine loads the model, and imports the file once
 * the signature is known.
 * @throws ServingError `MODEL_FAILED` with the place of the file, the line and the reason
 */
export async function createTransformPreprocessor(
  preparation: CodePreparation,
  options: PreprocessorOptions,
): Promise<Preprocessor> {
  const { place } = preparation;
  // Before a process is started, which would not be ended if the file has gone.
  const path = realpathSync(preparation.path);
  const spawn = (): ChildProcess => spawnSandboxed(ENTRY, sandboxOf(preparation.path, options.capacity));
  let early: ChildProcess | undefined = spawn();
  const takeEarly = (): ChildProcess | undefined => {
    const child = early;
    early = undefined;
    return child;
  };
  const signature = await options.engine.catch((error: unknown) => {
    takeEarly()?.kill('SIGKILL');
    throw error;
  });
  const { stamps } = preparation;
  const pool = createPool({
    size: options.processes,
    order: {
      path,
      stamps,
      signature,
      manifest: options.manifest,
    } satisfies TransformOrder,
    spawn: () => takeEarly() ?? spawn(),
    runTimeoutMs: options.runTimeoutMs,
    loadTimeoutMs: LOAD_TIMEOUT_MS,
    ...(options.onRestart !== undefined && { onRestart: options.onRestart }),
  });
  try {
    const exported = (await pool.start()) as unknown as TransformExports;
    pool.grow([]);
    return createTransforms(exported, pool, place, options.maxQueueSize);
  } catch (cause) {
    await pool.close();
    const name = basename(place);
    const { message } = cause as Error;
    const reason = message.startsWith(name) ? message.slice(name.length) : `: ${message}`;
    throw new ServingError('MODEL_FAILED', `${place}${reason}`, { cause });
  }
}

/** The folder of the file as it is given, and as it is on the disk: Kubernetes mounts files as links. */
function sandboxOf(path: string, { memoryBytes = Number.POSITIVE_INFINITY }: Capacity) {
  const share = Math.floor((memoryBytes * HEAP_SHARE) / 2 ** 20);
  const heapMiB = Math.min(MOST_HEAP_MIB, Math.max(LEAST_HEAP_MIB, share));
  return { folders: [...new Set([dirname(path), realpathSync(dirname(path)), dirname(realpathSync(path))])], heapMiB };
}

function createTransforms(exported: TransformExports, pool: Pool, place: string, maxQueueSize: number): Preprocessor {
  const { batcher, preparedOf } = createTransformBatcher(pool, place, maxQueueSize);
  /** The bodies of rows for `postprocess`. */
  const bodies = new WeakMap<Feeds, string>();
  const finish: Preprocessor['finish'] = async (prepared, outputs, terms, options) => {
    const body: Tensor = { dtype: 'string', dims: [1], data: [bodies.get(prepared) ?? ''] };
    const tensors = [body, ...outputs.map((output) => ({ ...output, dims: [1, ...output.dims] }))];
    // The row has run: it must not be refused now.
    const [outcome] = await batcher.predict({ tensors, rows: 1 }, terms, { ...options, begun: true });
    if ('error' in outcome!) throw explain(outcome.error, place);
    const [faults, answers] = outcome!.outputs as [Tensor, Tensor];
    const fault = faults.data[outcome!.first] as string;
    if (fault !== '') throw errorOf(JSON.parse(fault) as TransformFault, place);
    return [sliceRows(answers, outcome!.first, 1)];
  };
  return {
    signature: ({ inputs, outputs }: Signature) => ({
      inputs: exported.preprocess ? [FEATURES] : inputs,
      outputs: exported.postprocess ? [RESULT] : outputs,
    }),
    async prepare(feeds, terms, options) {
      if (!exported.preprocess) return splitRows(feeds);
      const outcomes = await batcher.predict(feeds, terms, options);
      const rows = outcomes.flatMap(preparedOf);
      for (const [at, row] of rows.entries()) {
        if ('feeds' in row && exported.postprocess) bodies.set(row.feeds, feeds.tensors[0]!.data[at] as string);
      }
      return rows;
    },
    sample: async () => undefined,
    ...(exported.postprocess && { finish, finishesWhole: true }),
    refuse: batcher.refuse,
    depth: () => batcher.depth(),
    processes: pool,
    close: () => pool.close(),
  };
}

/** The batcher of both kinds of runs: those of one tensor are of bodies, the others of outputs. */
function createTransformBatcher(pool: Pool, place: string, maxQueueSize: number) {
  /** The rows of a run of bodies, by the tensor that stands for them: they may have any shapes. */
  const prepared = new WeakMap<Tensor, readonly PreparedRow[]>();

  const runner = {
    ...pool,
    async run(inputs: Parameters<Pool['run']>[0]): Promise<Tensor[]> {
      const tensors = await pool.run(inputs);
      if (inputs.length > 1) return tensors;
      const rows = readRows(tensors, place);
      // Of the size of the rows, by which the batcher bounds further runs.
      const width = Math.ceil(rowBytes(tensors, rows.length));
      const standIn: Tensor = {
        dtype: 'uint8',
        dims: [rows.length, width],
        data: new Uint8Array(rows.length * width),
      };
      prepared.set(standIn, rows);
      return [standIn];
    },
  };
  const batcher: Batcher = createBatcher(runner, {
    join: true,
    maxBatchSize: MOST_ROWS,
    delayMs: 0,
    maxQueueSize,
    fault() {
      const fault = pool.fault();
      if (fault?.persists !== true) return undefined;
      const message = `the processes that run the model's ${basename(place)} keep ending, and are replaced: the server's log says why`;
      const retryAfter = Math.ceil(fault.retryInMs / 1000) || 1;
      return new ServingError('NOT_READY', message, { retryAfter, detail: fault.reason });
    },
  });
  const preparedOf = (outcome: Outcome): readonly PreparedRow[] => {
    const { rows } = outcome;
    if ('error' in outcome) return Array.from({ length: rows }, () => ({ error: explain(outcome.error, place) }));
    return prepared.get(outcome.outputs[0]!)!.slice(outcome.first, outcome.first + rows);
  };
  return { batcher, preparedOf };
}

/** The rows of a run of bodies: see `transform-worker.ts`. */
function readRows([faults, ...tensors]: readonly Tensor[], place: string): PreparedRow[] {
  const texts = faults!.data as string[];
  const good = texts.filter((text) => text === '').length;
  const inputs = good === 0 ? 0 : tensors.length / good;
  let at = 0;
  return texts.map((text) => {
    if (text !== '') return { error: errorOf(JSON.parse(text) as TransformFault, place) };
    const own = tensors.slice(at, at + inputs);
    at += inputs;
    return { feeds: { tensors: own, rows: 1 } };
  });
}

/** A caller who sends tensors: each row alone. */
function splitRows(feeds: Feeds): PreparedRow[] {
  if (feeds.rows === 1) return [{ feeds: { tensors: feeds.tensors, rows: 1 } }];
  return Array.from({ length: feeds.rows }, (_, row) => ({
    feeds: { tensors: feeds.tensors.map((tensor) => sliceRows(tensor, row, 1)), rows: 1 },
  }));
}

/** The error of a row: the caller's text for the caller, the operator's for the log. */
function errorOf({ kind, message, path }: TransformFault, place: string): ServingError {
  if (kind === 'input') return new ServingError('INVALID_INPUT', message, path === undefined ? {} : { path });
  const text = `the model's ${basename(place)} failed on this input: the server's log says why`;
  return new ServingError('MODEL_FAILED', text, { detail: message });
}

/** The error of a row whose run gave nothing, in words about the file. */
function explain(error: ServingError, place: string): ServingError {
  const { cause } = error;
  if (!(cause instanceof RunError)) return error;
  const { fault, message } = cause;
  const what = { 'timed-out': message, crashed: 'its process ended', failed: "the server's log says why" }[fault];
  const text = `the model's ${basename(place)} did not finish: ${what}`;
  return new ServingError(error.code, text, { cause, detail: message });
}
