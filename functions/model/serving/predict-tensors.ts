import { keyOf, type Span, stackSpans } from '../../engine/batch-rows.ts';
import { ALL_ROWS, type Cancellation, type Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import { DTYPES, elementCount, type Signature, type Tensor } from '../../tensor/tensor.ts';
import type { Generation } from './generation.ts';
import { CHUNK_ROWS, predictChunks } from './predict-chunks.ts';

type Runner = Pick<Generation, 'joinsRows' | 'signature' | 'predict'>;

/**
 * Runs complete input tensors and returns complete output tensors, for the dialects in which a request has its batch in dimension 0
 * of each tensor. If the model's rows are joined, they share runs with those of other requests, and a long request is divided into
 * chunks; otherwise the request is one run. A row that fails fails its request.
 * @param tensors a tensor for each input, in the order of the signature, of the input's dtype and of a shape that it allows
 * @returns a tensor for each output, in the order of the signature. Read only: they may be views of memory that other requests
 * read as well.
 * @throws ServingError `INVALID_INPUT` for batches of different lengths, and for empty tensors that the model does not accept;
 * `OVERLOADED` if the queue is full; the error of a row; as `Generation.predict` does
 */
export async function predictTensors(
  live: Runner,
  tensors: readonly Tensor[],
  cancellation: Cancellation,
): Promise<readonly Tensor[]> {
  if (!live.joinsRows) return predictUnjoined(live, tensors, cancellation);
  const rows = rowsOf(live.signature, tensors);
  if (rows === 0) return predictEmpty(live, tensors, cancellation);
  const chunks: (readonly Outcome[])[] = [];
  await predictChunks(live, [{ tensors, rows }], cancellation, ({ first }, outcomes) => {
    chunks[first / CHUNK_ROWS] = outcomes;
    const failed = live.joinsRows ? outcomes.find((outcome) => 'error' in outcome) : undefined;
    if (failed !== undefined) throw failed.error;
  });
  // Meanwhile a run had not one output row for each input row: the complete request is one run, as for any such model.
  if (!live.joinsRows) return predictUnjoined(live, tensors, cancellation);
  return gather(chunks.flat());
}

async function predictUnjoined(
  live: Runner,
  tensors: readonly Tensor[],
  cancellation: Cancellation,
): Promise<readonly Tensor[]> {
  const [outcome] = await live.predict({ tensors, rows: 1 }, cancellation);
  if (!('error' in outcome!)) return outcome!.outputs;
  const empty = tensors.findIndex(({ data }) => data.length === 0);
  if (empty === -1 || outcome.error.code !== 'MODEL_FAILED') throw outcome.error;
  const { name } = live.signature.inputs[empty]!;
  throw new ServingError('INVALID_INPUT', `input ${name} has no elements, and the model fails on that`, {
    cause: outcome.error,
  });
}

/** The number of rows. @throws ServingError `INVALID_INPUT` */
function rowsOf({ inputs }: Signature, tensors: readonly Tensor[]): number {
  const rows = tensors[0]!.dims[0]!;
  const other = tensors.findIndex(({ dims }) => dims[0] !== rows);
  if (other === -1) return rows;
  const message = `the first dimension is the batch: expected one length for all inputs, got ${rows} for ${inputs[0]!.name} and ${tensors[other]!.dims[0]} for ${inputs[other]!.name}`;
  throw new ServingError('INVALID_INPUT', message);
}

/** The most elements of the row of zeros that is run to get the shapes of empty outputs. */
const MAX_PROBE_ELEMENTS = 65_536;

/**
 * Outputs without rows. Their further dims are those of the signature. An open dim is that of the output for a row of zeros (or
 * empty strings) with the caller's dims, or 0 if the model fails on that row.
 */
async function predictEmpty(
  live: Runner,
  tensors: readonly Tensor[],
  cancellation: Cancellation,
): Promise<readonly Tensor[]> {
  const { outputs } = live.signature;
  const isOpen = outputs.some(({ shape }) => shape.slice(1).includes(-1));
  const row = isOpen ? await probe(live, tensors, cancellation) : undefined;
  return outputs.map(({ dtype, shape }, slot) => {
    const known = row?.[slot]?.dims;
    const dims = shape.map((dim, axis) => (axis === 0 ? 0 : dim === -1 ? (known?.[axis] ?? 0) : dim));
    return { dtype, dims, data: DTYPES[dtype].make(0) };
  });
}

async function probe(
  live: Runner,
  tensors: readonly Tensor[],
  cancellation: Cancellation,
): Promise<readonly Tensor[] | undefined> {
  const shapes = tensors.map(({ dims }) => [1, ...dims.slice(1)]);
  const elements = shapes.reduce((sum, dims) => sum + elementCount(dims), 0);
  if (elements > MAX_PROBE_ELEMENTS) return undefined;
  const zeros = tensors.map(({ dtype }, i): Tensor => {
    const dims = shapes[i]!;
    return { dtype, dims, data: DTYPES[dtype].make(elementCount(dims)) };
  });
  const [outcome] = await live.predict({ tensors: zeros, rows: 1 }, cancellation);
  return 'error' in outcome! ? undefined : outcome!.outputs;
}

/**
 * Joins the outputs of all rows of a request, in their order, in one tensor for each output.
 * @throws ServingError the error of a row; `MODEL_FAILED` if the shapes of the outputs differ from run to run
 */
function gather(outcomes: readonly Outcome[]): readonly Tensor[] {
  const whole = outcomes.find((outcome) => 'outputs' in outcome && outcome.first === ALL_ROWS);
  if (whole !== undefined && 'outputs' in whole && outcomes.length === 1) return whole.outputs;
  if (whole !== undefined) {
    const message = 'the outputs of the model for one row have not one row: send each row in a request of its own';
    throw new ServingError('INVALID_INPUT', message);
  }
  const spans: Span[] = [];
  for (const outcome of outcomes) {
    if ('error' in outcome) throw outcome.error;
    const { outputs, first, rows } = outcome;
    spans.push({ feeds: { tensors: outputs, rows: outputs[0]!.dims[0]! }, first, rows });
  }
  const key = keyOf(spans[0]!.feeds);
  const other = spans.find(({ feeds }) => keyOf(feeds) !== key);
  if (other === undefined) return stackSpans(spans).tensors as Tensor[];
  const message = `rows of one request gave outputs of different shapes, ${key} and ${keyOf(other.feeds)}: set "batching": false in model.json`;
  throw new ServingError('MODEL_FAILED', message);
}
