import { accessSync } from 'node:fs';
import { basename } from 'node:path';
import type { WeightUse } from '../../engine/process/model-source.ts';
import { ServingError } from '../../errors.ts';
import { outputOf } from '../../model/folder/manifest.ts';
import { type Comparison, compareModels } from '../compare/compare-models.ts';
import { openEngine } from '../measure/engine.ts';
import type { LocalModel } from '../samples/local-model.ts';
import { formatBytes, formatMs } from '../terminal/format.ts';
import type { Progress } from '../terminal/progress.ts';
import { type ComparedRows, rowsOf } from './rows.ts';

/** A model and what was made of it, in engine processes of the server's own. */
export interface BeforeAfter {
  readonly original: LoadFigures;
  readonly result: LoadFigures;
  readonly comparison: Comparison;
  /** Where the rows are from. */
  readonly rowsFrom: string;
}

/** What the load of a model costs. */
export interface LoadFigures {
  /** The median of {@link LOADS} loads. */
  readonly loadMs: number;
  /** Memory of one engine process that no other shares, after the load; undefined if this system does not have it. */
  readonly privateBytes: number | undefined;
}

interface TrialOptions {
  readonly original: LocalModel;
  /** A file of samples; see `readSamples`. */
  readonly samples?: string | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** An original that was loaded, with rows that fit it. */
export interface Tried extends TrialOptions {
  readonly rows: ComparedRows;
}

const LOADS = 3;
/** Weights of a larger model are mapped while both are compared, so that two copies of it are not in memory at once. */
const MAPPED_FROM_BYTES = 2 ** 27;

/**
 * Loads the original as the server does, and reads the rows for the comparison: before the work of a verb, which is in vain without them.
 * @throws ServingError `MODEL_FAILED` if it does not load; `INVALID_INPUT` for samples that do not fit
 */
export async function tryOriginal(options: TrialOptions): Promise<Tried> {
  const { original, samples, progress, signal } = options;
  // The error of the system, before the model is loaded.
  if (samples !== undefined) accessSync(samples);
  progress.step(`loading ${basename(original.path)}`);
  const { signature } = await load(original.path, signal);
  return { ...options, rows: rowsOf(original, signature, samples) };
}

/**
 * Loads the result of a verb, and compares its outputs with those of the original, one engine process for each.
 * @param result the path
 * @throws ServingError `MODEL_FAILED` if it does not load, or one of both fails on a row
 */
export async function compareResult(tried: Tried, result: string): Promise<BeforeAfter> {
  const { original, rows, from, isSynthetic } = { ...tried, ...tried.rows };
  const { progress, signal } = tried;
  progress.step('measuring loads');
  const [before, after] = await measureLoads([original.path, result], tried);
  progress.step(`comparing over ${from}`);
  const weights: WeightUse = original.bytes >= MAPPED_FROM_BYTES ? 'mapped' : 'packed';
  // The processes of a comparison that is not awaited end with this one.
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const compared = compareModels({
    original: original.path,
    result,
    rows,
    mainOutput: outputOf(original.manifest).name,
    weights,
    onRow: (done) => progress.update(done, rows.length),
  });
  const comparison = await Promise.race([compared, aborted]).catch((cause) => {
    if (!isSynthetic || !(cause instanceof ServingError)) throw cause;
    const advice = 'the row was made up: give rows that the model takes with --samples, or put golden.json beside it';
    throw new ServingError('MODEL_FAILED', `${cause.message}; ${advice}`, { cause });
  });
  signal.throwIfAborted();
  return { original: before!, result: after!, comparison, rowsFrom: from };
}

/** Loads models in turn, so that other work on the machine slows all of them alike. */
async function measureLoads(paths: readonly string[], { signal, progress }: TrialOptions): Promise<LoadFigures[]> {
  const loads = paths.map((): LoadFigures[] => []);
  for (let round = 0; round < LOADS; round++) {
    for (const [i, path] of paths.entries()) {
      loads[i]!.push(await load(path, signal));
      progress.update(round * paths.length + i + 1, LOADS * paths.length);
    }
  }
  return loads.map((all) => {
    const { loadMs, privateBytes } = all.toSorted((a, b) => a.loadMs - b.loadMs)[Math.floor(LOADS / 2)]!;
    return { loadMs, privateBytes };
  });
}

/** Loads a model in a new engine process, which is ended. */
async function load(path: string, signal: AbortSignal) {
  const engine = await openEngine({ path, signal });
  const privateBytes = engine.memory()?.privateBytes;
  await engine.close();
  signal.throwIfAborted();
  return { loadMs: engine.loadMs, privateBytes, signature: engine.loaded.signature };
}

/**
 * The first output that differs by more than rounding; undefined if there is none. Outputs that the result was asked to leave out do not
 * count.
 * @param tolerance largest allowed difference of a float, relative to max(1, |original|). Integers and texts must be equal
 */
export function whyUnequal({ outputs }: Comparison, tolerance: number): string | undefined {
  for (const { output, difference, unequal, otherShapes } of outputs) {
    if (otherShapes > 0) return `output ${output} has another shape for ${otherShapes} of the rows`;
    const largest = difference?.largestRelative ?? 0;
    if (largest > tolerance)
      return `output ${output} differs by ${largest.toPrecision(3)}, relative to max(1, |original|); the tolerance is ${tolerance}`;
    if (difference === undefined && unequal > 0) return `output ${output} differs in ${unequal} of its elements`;
  }
  return undefined;
}

/** `loads in 12.3 ms, the original in 45.6 ms`, with the memory of an engine process. */
export function loadLine({ original, result }: BeforeAfter): string {
  const memory =
    original.privateBytes === undefined || result.privateBytes === undefined
      ? ''
      : `; an engine process has ${formatBytes(result.privateBytes)} of its own, before ${formatBytes(original.privateBytes)}`;
  return `loads in ${formatMs(result.loadMs)}, before in ${formatMs(original.loadMs)}${memory}`;
}
