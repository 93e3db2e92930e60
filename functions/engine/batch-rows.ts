import { DTYPES, type DType, elementCount, type Tensor, type TensorData } from '../tensor/tensor.ts';
import type { JoinedTensor } from './process/frame.ts';

/** The tensors that a request, or a chunk of it, gives to the model. */
export interface Feeds {
  /** A tensor for each input, in the order of the signature, of the input's dtype and of a shape that the input allows. */
  readonly tensors: readonly Tensor[];
  /** Rows along dimension 0 of every tensor, at least 1. For a model whose rows are not joined: 1, whatever the shapes. */
  readonly rows: number;
}

/** Rows `first` to `first + rows` (exclusive) of some feeds. */
export interface Span {
  readonly feeds: Feeds;
  readonly first: number;
  readonly rows: number;
}

/** A key that is equal for feeds whose rows fit into one tensor: all inputs have the same dtypes and the same dims from 1 on. */
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
 * Average bytes of a row of these tensors, at least 1. A string counts one for each UTF-16 unit, and 4 for its length.
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

/** How many rows a joined run may take within its limits of rows and bytes, at least 1. @param bytesPerRow of `rowBytes`. */
export function rowsInRun(bytesPerRow: number, maxBatchSize: number, maxBatchBytes: number): number {
  return Math.max(1, Math.min(maxBatchSize, Math.floor(maxBatchBytes / bytesPerRow)));
}

/**
 * The inputs of a run: a tensor for each input, in the order of the signature, with the rows of all spans in their order. The
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
    // The complete feeds of one request keep their shape: if the model's rows are not joined, dimension 0 need not be the rows.
    const isComplete = spans.length === 1 && spans[0]!.rows === spans[0]!.feeds.rows;
    joined.push({ slot, dtype, dims: isComplete ? dims : [rows, ...dims.slice(1)], parts });
  }
  return joined;
}

/** Bytes of the inputs of a run, as `rowBytes` counts them. */
export function inputBytes(inputs: readonly JoinedTensor[]): number {
  let bytes = 0;
  for (const { dtype, dims, parts } of inputs) {
    if (dtype === 'string') bytes += rowBytes([{ dtype, dims, data: parts.flat() as string[] }], 1);
    else bytes += DTYPES[dtype].bytes * elementCount(dims);
  }
  return bytes;
}

/** Joins the rows of several feeds, in their order, in one. @param feeds at least one, all of one key. */
export function stackRows(feeds: readonly Feeds[]): Feeds {
  return stackSpans(feeds.map((one) => ({ feeds: one, first: 0, rows: one.rows })));
}

/**
 * Joins the rows of the spans, in their order, in new feeds. The numbers of a single span are views of its feeds; several spans
 * and strings are copied.
 * @param spans at least one, all with feeds of one key.
 */
export function stackSpans(spans: readonly Span[]): Feeds {
  const tensors = joinRows(spans).map(({ dtype, dims, parts }): Tensor => {
    return { dtype, dims, data: parts.length === 1 ? parts[0]! : concat(dtype, elementCount(dims), parts) };
  });
  return { tensors, rows: countRows(spans) };
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

/** Divides the rows of the spans in two halves, of which the first is the larger if their number is odd. It may divide a span. */
export function halve<S extends Span>(spans: readonly S[]): [S[], S[]] {
  let remaining = Math.ceil(countRows(spans) / 2);
  const halves: [S[], S[]] = [[], []];
  for (const span of spans) {
    const before = Math.min(remaining, span.rows);
    if (before > 0) halves[0].push({ ...span, rows: before });
    if (span.rows > before) halves[1].push({ ...span, first: span.first + before, rows: span.rows - before });
    remaining -= before;
  }
  return halves;
}

/** Divides the spans into their rows, each alone, in their order. */
export function isolateRows<S extends Span>(spans: readonly S[]): S[][] {
  return spans.flatMap((span) =>
    Array.from({ length: span.rows }, (_, row) => [{ ...span, first: span.first + row, rows: 1 }]),
  );
}

/** The number of rows of the spans. */
export function countRows(spans: readonly Span[]): number {
  return spans.reduce((sum, { rows }) => sum + rows, 0);
}

/** Describes the first output whose dimension 0 is not the number of rows of the run. Undefined if there is no such output. */
export function findMisfit(outputs: readonly Tensor[], rows: number): string | undefined {
  const slot = outputs.findIndex(({ dims }) => dims[0] !== rows);
  if (slot === -1) return undefined;
  return `output ${slot} has the shape [${outputs[slot]!.dims}] for ${rows} ${rows === 1 ? 'row' : 'rows'}`;
}
