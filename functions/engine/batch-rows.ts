import { ServingError } from '../errors.ts';
import { DTYPES, type DType, elementCount, type Tensor, type TensorData } from '../tensor/tensor.ts';
import { RunError } from './engine-process.ts';
import type { JoinedTensor } from './frame.ts';

/** Feeds of one request: a tensor an input, in the order of the signature; `undefined` for an optional input left out. */
export interface Feeds {
  readonly tensors: readonly (Tensor | undefined)[];
  /** Rows along dimension 0 of every tensor; 1 where the model is not joined. */
  readonly rows: number;
}

/** Rows `first` up to `first + rows` of some feeds. */
export interface Span {
  readonly feeds: Feeds;
  readonly first: number;
  readonly rows: number;
}

/** Equal for feeds whose rows may lie in one tensor: the same inputs, dtypes and trailing dimensions. */
export function keyOf(feeds: Feeds): string {
  let key = '';
  for (const tensor of feeds.tensors) {
    if (tensor === undefined) key += '-;';
    else {
      key += tensor.dtype;
      for (let d = 1; d < tensor.dims.length; d++) key += `x${tensor.dims[d]}`;
      key += ';';
    }
  }
  return key;
}

/**
 * What the tensors of a joined run take at most, in bytes, for its inputs and for its outputs: no more than one request may be
 * at the default MAX_BODY_BYTES, whatever the number of rows. From 1 MiB on, a run's time between the processes grows with its
 * bytes alone, so larger ones save nothing there.
 */
export const MAX_BATCH_BYTES = 2 ** 25;

/** Bytes of a row of these tensors, at least 1: a text's are its length, and the four before it. */
export function rowBytes(tensors: readonly (Tensor | undefined)[], rows: number): number {
  let bytes = 0;
  for (const tensor of tensors) {
    if (tensor === undefined) continue;
    const { data } = tensor;
    if (Array.isArray(data)) for (const text of data) bytes += text.length + 4;
    else bytes += data.byteLength;
  }
  return Math.max(1, bytes / rows);
}

/** Rows of so many bytes that a joined run takes, at least 1. */
export function rowsInRun(bytes: number, maxBatchSize: number, maxBatchBytes = MAX_BATCH_BYTES): number {
  return Math.max(1, Math.min(maxBatchSize, Math.floor(maxBatchBytes / bytes)));
}

/** One tensor an input, the spans' rows one behind the other. The spans share a key. Copies nothing. */
export function joinRows(spans: readonly Span[]): JoinedTensor[] {
  const joined: JoinedTensor[] = [];
  const { tensors } = spans[0]!.feeds;
  for (let slot = 0; slot < tensors.length; slot++) {
    const tensor = tensors[slot];
    if (tensor === undefined) continue;
    const parts: TensorData[] = [];
    let rows = 0;
    for (const span of spans) {
      parts.push(rowsOf(span.feeds.tensors[slot]!, span));
      rows += span.rows;
    }
    const whole = spans.length === 1 && spans[0]!.rows === spans[0]!.feeds.rows;
    joined.push({ slot, dtype: tensor.dtype, dims: whole ? tensor.dims : [rows, ...tensor.dims.slice(1)], parts });
  }
  return joined;
}

/** The rows of several feeds as those of one. The feeds share a key. */
export function stackRows(feeds: readonly Feeds[]): Feeds {
  return stackSpans(feeds.map((one) => ({ feeds: one, first: 0, rows: one.rows })));
}

/** The rows of the spans as feeds of their own. The spans share a key. Those of one span are a view of it, but for strings. */
export function stackSpans(spans: readonly Span[]): Feeds {
  const tensors: (Tensor | undefined)[] = spans[0]!.feeds.tensors.map(() => undefined);
  for (const { slot, dtype, dims, parts } of joinRows(spans)) {
    tensors[slot] = { dtype, dims, data: parts.length === 1 ? parts[0]! : concat(dtype, elementCount(dims), parts) };
  }
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

/** Two halves of the spans, by rows: a span of several rows may itself be cut. */
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

/** What is wrong with the outputs of a run of rows: one that has not a row for each. Undefined where all have. */
export function findMisfit(outputs: readonly Tensor[], rows: number): string | undefined {
  const slot = outputs.findIndex(({ dims }) => dims[0] !== rows);
  if (slot === -1) return undefined;
  return `output ${slot} has the shape [${outputs[slot]!.dims}] for ${rows} ${rows === 1 ? 'row' : 'rows'}`;
}

/** The caller's error for a run that gave nothing, once it is clear that these rows are to blame. */
export function blame(error: unknown): ServingError {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof RunError && error.fault === 'timed-out') {
    return new ServingError('DEADLINE', `the model did not finish: ${text}`, { cause: error });
  }
  return new ServingError('MODEL_FAILED', `the model failed on this input: ${text}`, { cause: error });
}
