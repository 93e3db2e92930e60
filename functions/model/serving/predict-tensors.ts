import { type Feeds, keyOf, type Span, stackSpans } from '../../engine/batch-rows.ts';
import type { Cancellation, Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import { DTYPES, elementCount, type Signature, type Tensor } from '../../tensor/tensor.ts';
import type { Generation } from './generation.ts';

/** A longer request is queued in pieces of as many rows, a few at a time: others must find a place between them. */
const PIECE_ROWS = 256;
const PIECES_IN_FLIGHT = 4;
/** Of the queue, pieces take half. */
const SHARE = 0.5;
/** How often a piece that found the queue full knocks again. */
const KNOCK_MS = 20;

type Runner = Pick<Generation, 'joined' | 'signature' | 'predict'>;

/**
 * Runs whole inputs and gives whole outputs: the dialects in which a request has its batch in dimension 0 of each tensor.
 * Where rows of the model are joined, they share runs with those of others, and long requests are cut into pieces; where
 * not, all is one run. One row that fails fails its request.
 * @param tensors one an input, in the order of the signature, each with a shape that the signature allows.
 * @returns one an output, in the order of the signature; views of a run's memory wherever that will do.
 * @throws ServingError `INVALID_INPUT` for batches of different lengths, and where a model does not take empty tensors; what
 * a row failed with; as `Generation.predict` does.
 */
export async function predictTensors(
  live: Runner,
  tensors: readonly Tensor[],
  cancellation: Cancellation,
): Promise<readonly Tensor[]> {
  if (!live.joined) return predictUnjoined(live, tensors, cancellation);
  const rows = rowsOf(live.signature, tensors);
  if (rows === 0) return predictEmpty(live, tensors, cancellation);
  const feeds = { tensors, rows };
  const outcomes =
    rows <= PIECE_ROWS ? await live.predict(feeds, cancellation) : await predictPieces(live, feeds, cancellation);
  // A run has shown meanwhile that the outputs do not follow the rows: the whole request is one run, as for any such model.
  if (!live.joined) return predictUnjoined(live, tensors, cancellation);
  return gather(outcomes);
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
  throw new ServingError('INVALID_INPUT', `input ${name} has no elements, and the model takes none so`, {
    cause: outcome.error,
  });
}

/** The length of the batch. */
function rowsOf({ inputs }: Signature, tensors: readonly Tensor[]): number {
  const rows = tensors[0]!.dims[0]!;
  const other = tensors.findIndex(({ dims }) => dims[0] !== rows);
  if (other === -1) return rows;
  const message = `the first dimension is the batch: expected one length for all inputs, got ${rows} for ${inputs[0]!.name} and ${tensors[other]!.dims[0]} for ${inputs[other]!.name}`;
  throw new ServingError('INVALID_INPUT', message);
}

/** Elements that the row of zeros may have which tells the shapes of empty outputs. */
const MAX_PROBE_ELEMENTS = 65_536;

/**
 * Outputs of no rows. Further dimensions are those of the signature; where it leaves one open, a row of zeros (of empty texts)
 * with the caller's dims is run, and has it. It is 0 where the model does not take that row.
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

async function predictPieces(live: Runner, feeds: Feeds, cancellation: Cancellation): Promise<readonly Outcome[]> {
  const pieces: (readonly Outcome[])[] = [];
  let next = 0;
  let over = false;

  async function work(): Promise<void> {
    while (next < feeds.rows && !over) {
      const first = next;
      next += PIECE_ROWS;
      try {
        const piece = await queuePiece(first);
        pieces[first / PIECE_ROWS] = piece;
        if (piece.some((outcome) => 'error' in outcome)) over = true;
      } catch (error) {
        over = true;
        throw error;
      }
    }
  }

  /** Only the first piece is refused by a full queue: what has begun is finished. */
  async function queuePiece(first: number): Promise<readonly Outcome[]> {
    const piece = stackSpans([{ feeds, first, rows: Math.min(PIECE_ROWS, feeds.rows - first) }]);
    for (;;) {
      try {
        return await live.predict(piece, cancellation, SHARE);
      } catch (error) {
        const full = error instanceof ServingError && error.code === 'OVERLOADED';
        if (first === 0 || !full || over || cancellation.gone) throw error;
        await new Promise((resolve) => setTimeout(resolve, KNOCK_MS));
      }
    }
  }

  const workers = await Promise.allSettled(Array.from({ length: PIECES_IN_FLIGHT }, work));
  const failed = workers.find((worker) => worker.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return pieces.flat();
}

/** The outputs of all stretches of a request's rows, one behind the other. */
function gather(outcomes: readonly Outcome[]): readonly Tensor[] {
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
