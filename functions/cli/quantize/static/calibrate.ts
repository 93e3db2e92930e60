import { readRowIndependence } from '../../../batching/read-row-independence.ts';
import { type Feeds, joinRows, keyOf, rowBytes, rowsInRun, stackRows } from '../../../engine/batch-rows.ts';
import { MOST_BATCH_BYTES } from '../../../engine/capacity.ts';
import { ServingError } from '../../../errors.ts';
import type { EditableModel } from '../../../onnx/edit/open-model.ts';
import { elementCount, type Tensor, type TensorSpec } from '../../../tensor/tensor.ts';
import { addValues, createHistogram, type Range } from './histogram.ts';
import type { InstrumentedModel } from './instrumented-model.ts';
import { entropyRange, percentileRange } from './thresholds.ts';

/** How the range of a value follows from the values that were seen. */
export type CalibrationMethod =
  | { readonly name: 'min-max' }
  | { readonly name: 'entropy' }
  | { readonly name: 'percentile' /** From 0 to 100. */; readonly percentile: number };

/** Rows for calibration, and where their ranges come from. */
export interface CalibrationOptions {
  /** Feeds of one row each. Called for each pass over them. */
  readonly rows: () => Iterable<Feeds>;
  readonly method: CalibrationMethod;
  readonly signal?: AbortSignal | undefined;
  readonly progress: (done: number, total: number) => void;
}

/** Bins of a histogram. With onnxruntime's default of 128 for the entropy there would be one range to choose from. */
const BINS = 2048;
/** Bytes of the values of one row that a run returns, as far as their shapes are known. */
const GROUP_BYTES = 2 ** 26;
/** Bytes of a value whose shape is not known, for grouping. */
const UNKNOWN_BYTES = 2 ** 20;
/** The most rows of a run. */
const MAX_ROWS = 64;

/** Gives tensors for the rows of a run, one for each name. */
interface Source {
  readonly names: readonly string[];
  run(feeds: Feeds): Promise<readonly Tensor[]>;
}

/**
 * Runs the rows through the float model, and finds the range of each value. Memory is bounded: values are read in groups, rows in runs
 * of few, and only ranges and histograms are kept.
 * @param values float32 inputs and outputs of nodes, with the specs of the latter
 * @returns no range for a value that is empty, or not finite for a row
 * @throws ServingError `INVALID_INPUT` without rows, `MODEL_FAILED` if a run fails; the reason of the signal
 */
export async function calibrate(
  model: EditableModel,
  instrumented: InstrumentedModel,
  values: readonly (TensorSpec & { readonly input?: number })[],
  options: CalibrationOptions,
): Promise<Map<string, Range>> {
  const { rows, method, signal, progress } = options;
  const mostRows = readRowIndependence(model.path).verdict === 'proved' ? MAX_ROWS : 1;
  const given = values.filter(({ input }) => input !== undefined);
  const groups = groupValues(values.filter(({ input }) => input === undefined));
  const count = countRows(rows());
  const total = count * (groups.length + 1) * (method.name === 'min-max' ? 1 : 2);
  let done = 0;
  const advance = (by: number): void => {
    signal?.throwIfAborted();
    done += by;
    progress(done, total);
  };
  const collector: Collector = { rows, method, mostRows, advance, ranges: new Map() };
  await collect(collector, {
    names: given.map(({ name }) => name),
    run: async ({ tensors }) => given.map(({ input }) => tensors[input!]!),
  });
  for (const group of groups) {
    const names = group.map(({ name }) => name);
    const process = await instrumented.open(names);
    try {
      await collect(collector, {
        names,
        run: (feeds) => process.run(joinRows([{ feeds, first: 0, rows: feeds.rows }])),
      });
    } finally {
      process.close();
    }
  }
  return collector.ranges;
}

function countRows(rows: Iterable<Feeds>): number {
  let count = 0;
  for (const _ of rows) count++;
  if (count > 0) return count;
  throw new ServingError(
    'INVALID_INPUT',
    'static quantization needs rows of samples to calibrate with, and there are none',
  );
}

/** Groups of values whose tensors for one row take at most {@link GROUP_BYTES}, or one value. */
function groupValues(values: readonly TensorSpec[]): TensorSpec[][] {
  const groups: TensorSpec[][] = [];
  let free = 0;
  for (const spec of values) {
    const bytes = bytesOfRow(spec);
    if (bytes > free) {
      groups.push([]);
      free = GROUP_BYTES;
    }
    groups.at(-1)!.push(spec);
    free -= bytes;
  }
  return groups;
}

function bytesOfRow({ shape, anyRank }: TensorSpec): number {
  if (anyRank === true || shape.slice(1).includes(-1)) return UNKNOWN_BYTES;
  return 4 * elementCount(shape.map((size, axis) => (axis === 0 ? Math.max(1, size) : size)));
}

interface Collector {
  readonly rows: () => Iterable<Feeds>;
  readonly method: CalibrationMethod;
  /** The most rows of a run. */
  readonly mostRows: number;
  readonly advance: (rows: number) => void;
  readonly ranges: Map<string, Range>;
}

/** Finds the ranges of the values of a source: the smallest and largest in one pass over the rows, thresholds in a second. */
async function collect(collector: Collector, source: Source): Promise<void> {
  const { method, ranges } = collector;
  const seen = source.names.map(() => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }));
  await eachTensor(collector, source, (values, at) => {
    let { min, max } = seen[at]!;
    // A NaN makes NaN of both, which stays.
    for (const value of values) {
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    seen[at] = { min, max };
  });
  const isUsable = seen.map(({ min, max }) => Number.isFinite(min) && Number.isFinite(max));
  for (const [at, name] of source.names.entries()) if (isUsable[at]) ranges.set(name, seen[at]!);
  if (method.name === 'min-max') return;

  const isAbsolute = method.name === 'percentile';
  const histograms = seen.map(({ min, max }, at) => {
    const most = isUsable[at] ? Math.max(Math.abs(min), Math.abs(max)) : 0;
    if (!isAbsolute) return createHistogram(BINS, -most, most);
    return createHistogram(BINS, min > 0 ? min : max < 0 ? -max : 0, most);
  });
  await eachTensor(collector, source, (values, at) => {
    if (isUsable[at]) addValues(histograms[at]!, values, isAbsolute);
  });
  for (const [at, name] of source.names.entries()) {
    if (!isUsable[at]) continue;
    const histogram = histograms[at]!;
    const range =
      method.name === 'entropy'
        ? entropyRange(histogram, seen[at]!)
        : percentileRange(histogram, method.percentile, seen[at]!);
    ranges.set(name, range);
  }
}

/** Calls `take` for each tensor of each run, with the index of its name. */
async function eachTensor(
  { rows, mostRows, advance }: Collector,
  source: Source,
  take: (values: Float32Array, at: number) => void,
): Promise<void> {
  /** Rows of a run: one, until it is known how much a row takes. */
  let most = 1;
  let waiting: Feeds[] = [];
  const run = async (): Promise<void> => {
    if (waiting.length === 0) return;
    const feeds = stackRows(waiting);
    waiting = [];
    const tensors = source.names.length === 0 ? [] : await source.run(feeds);
    for (const [at, { data }] of tensors.entries()) take(data as Float32Array, at);
    most = rowsInRun(rowBytes([...tensors, ...feeds.tensors], feeds.rows), mostRows, MOST_BATCH_BYTES);
    advance(feeds.rows);
  };
  for (const feeds of rows()) {
    if (waiting.length >= most || (waiting.length > 0 && keyOf(waiting[0]!) !== keyOf(feeds))) await run();
    waiting.push(feeds);
  }
  await run();
}
