import { ServingError } from '../errors.ts';
import { DTYPES, type DType, elementCount, type Tensor, type TensorData } from '../tensor/tensor.ts';
import { RunError } from './engine-process.ts';
import type { JoinedTensor } from './frame.ts';

/** What a request, or a chunk of it, gives to the model. */
export interface Feeds {
  /** A tensor for each input, in the order of the signature, of its dtype and with a shape that it allows. */
  readonly tensors: readonly Tensor[];
  /** Rows along dimension 0 of every tensor, at least 1. 1 where rows are not joined, whatever the tensors' shapes. */
  readonly rows: number;
}

/** Rows `first` up to `first + rows` of some feeds. */
export interface Span {
  readonly feeds: Feeds;
  readonly first: number;
  readonly rows: number;
}

/** Equal for feeds whose rows fit into one tensor: the same dtypes and further dimensions, input by input. */
export function keyOf(feeds: Feeds): string {
  let key = '';
  for (const { dtype, dims } of feeds.tensors) {
    key += dtype;
    for (let d = 1; d < dims.length; d++) key += `x${dims[d]}`;
    key += ';';
  }
  return key;
}

/**
 * Bytes of the inputs of a joined run at most, and of its outputs: about those of the largest request at the default
 * MAX_BODY_BYTES. From 1 MiB on, the time that a run takes between the processes grows with its bytes alone, so larger runs save
 * nothing there.
 */
export const MAX_BATCH_BYTES = 2 ** 25;

/**
 * Bytes of a row of these tensors on average, at least 1. A string counts as many as it has characters, and 4 for its length.
 * @param rows that the tensors have together.
 */
export function rowBytes(tensors: readonly Tensor[], rows: number): number {
  let bytes = 0;
  for (const { data } of tensors) {
    if (Array.isArray(data)) for (const text of data) bytes += text.length + 4;
    else bytes += data.byteLength;
  }
  return Math.max(1, bytes / rows);
}

/** How many rows a joined run takes, at least 1. @param bytesPerRow as `rowBytes` gives them. */
export function rowsInRun(bytesPerRow: number, maxBatchSize: number, maxBatchBytes = MAX_BATCH_BYTES): number {
  return Math.max(1, Math.min(maxBatchSize, Math.floor(maxBatchBytes / bytesPerRow)));
}

/**
 * The inputs of a run: a tensor for each input, in the order of the signature, with the rows of all spans in their order. Its
 * parts are views of the feeds: no number is copied.
 * @param spans at least one, all with feeds of one key.
 */
export function joinRows(spans: readonly Span[]): JoinedTensor[] {
  const joined: JoinedTensor[] = [];
  const { tensors } = spans[0]!.feeds;
  for (let slot = 0; slot < tensors.length; slot++) {
    const { dtype, dims } = tensors[slot]!;
    const parts: TensorData[] = [];
    let rows = 0;
    for (const span of spans) {
      parts.push(rowsOf(span.feeds.tensors[slot]!, span));
      rows += span.rows;
    }
    // Feeds that are run alone and whole keep their shape: where rows are not joined, dimension 0 need not be the rows.
    const isWhole = spans.length === 1 && spans[0]!.rows === spans[0]!.feeds.rows;
    joined.push({ slot, dtype, dims: isWhole ? dims : [rows, ...dims.slice(1)], parts });
  }
  return joined;
}

/** The rows of several feeds, in their order, as those of one. @param feeds at least one, all of one key. */
export function stackRows(feeds: readonly Feeds[]): Feeds {
  return stackSpans(feeds.map((one) => ({ feeds: one, first: 0, rows: one.rows })));
}

/**
 * The rows of the spans, in their order, as feeds of their own. Numbers of a lone span are a view of it; all else is copied.
 * @param spans at least one, all with feeds of one key.
 */
export function stackSpans(spans: readonly Span[]): Feeds {
  const tensors = joinRows(spans).map(({ dtype, dims, parts }): Tensor => {
    return { dtype, dims, data: parts.length === 1 ? parts[0]! : concat(dtype, elementCount(dims), parts) };
  });
  return { tensors, rows: spans.reduce((sum, span) => sum + span.rows, 0) };
}

function concat(dtype: DType, count: number, parts: readonly TensorData[]): TensorData {
  if (dtype === 'string') return (parts as readonly string[][]).flat();
  const data = DTYPES[dtype].make(count) as Float64Array;
  let at = 0;
  for (const part of parts as readonly Float64Array[]) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

function rowsOf({ dims, data }: Tensor, { feeds, first, rows }: Span): TensorData {
  if (rows === feeds.rows) return data;
  const size = elementCount(dims) / dims[0]!;
  return Array.isArray(data)
    ? data.slice(first * size, (first + rows) * size)
    : data.subarray(first * size, (first + rows) * size);
}

/** The rows of the spans in two halves, the first the larger one where they are odd. A span of several rows may be cut. */
export function halve<S extends Span>(spans: readonly S[]): [S[], S[]] {
  let left = Math.ceil(spans.reduce((sum, span) => sum + span.rows, 0) / 2);
  const halves: [S[], S[]] = [[], []];
  for (const span of spans) {
    const before = Math.min(left, span.rows);
    if (before > 0) halves[0].push({ ...span, rows: before });
    if (span.rows > before) halves[1].push({ ...span, first: span.first + before, rows: span.rows - before });
    left -= before;
  }
  return halves;
}

/** The first output whose dimension 0 is not the rows of the run, in words. Undefined where each output has a row for each. */
export function findMisfit(outputs: readonly Tensor[], rows: number): string | undefined {
  const slot = outputs.findIndex(({ dims }) => dims[0] !== rows);
  if (slot === -1) return undefined;
  return `output ${slot} has the shape [${outputs[slot]!.dims}] for ${rows} ${rows === 1 ? 'row' : 'rows'}`;
}

/**
 * The error of rows that made their run fail: `DEADLINE` where it took too long, else `MODEL_FAILED`.
 * @param error what the run was rejected with.
 */
export function servingErrorOf(error: unknown): ServingError {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof RunError && error.fault === 'timed-out') {
    return new ServingError('DEADLINE', `the model did not finish: ${text}`, { cause: error });
  }
  return new ServingError('MODEL_FAILED', `the model failed on this input: ${text}`, { cause: error });
}
