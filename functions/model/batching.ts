import type { JoinedTensor } from '../engine/frame.ts';
import { type Feeds, joinRows, keyOf } from '../engine/join.ts';
import type { Signature, Tensor } from '../engine/tensor.ts';
import { findDifference, sampleTensor, sliceRows } from '../engine/tensor-compare.ts';

export type Run = (inputs: readonly JoinedTensor[]) => Promise<Tensor[]>;

/** Whether rows may share a run, and where the trial left it open or said no, why. */
export interface Verdict {
  readonly join: boolean;
  readonly why: string | undefined;
}

const TOLERANCE = 1e-4;
const ROWS = 3;
/** A model slower than this is not tried: nine rows of it would hold up the start. */
const SLOWEST_MS = 2000;

/** Whether the shapes alone leave it possible that dimension 0 is a batch. */
export function mayJoin({ inputs, outputs }: Signature): boolean {
  return (
    inputs.length > 0 && inputs.every(({ shape }) => shape[0] === -1) && outputs.every(({ shape }) => shape[0] === -1)
  );
}

/** Up to three distinct rows that could share a run: the known ones first, then made-up values of the same shapes. */
export function trialRows(signature: Signature, known: readonly Feeds[]): Feeds[] {
  const rows: Feeds[] = [];
  const made = Array.from({ length: 2 * ROWS }, (_, row) => madeUpRow(signature, known[0], row));
  for (const candidate of [...known, ...made]) {
    if (rows.length === ROWS || rows.some((row) => sameFeeds(row, candidate))) continue;
    if (rows.length === 0 || keyOf(rows[0]!) === keyOf(candidate)) rows.push(candidate);
  }
  return rows;
}

/** A row of values that are safe for its dtypes; a free dimension is as long as in `like`, or 1. */
export function madeUpRow({ inputs }: Signature, like: Feeds | undefined, row: number): Feeds {
  const tensors = inputs.map(({ dtype, shape }, i) =>
    sampleTensor(
      dtype,
      shape.map((dim, d) => (dim === -1 ? (like?.tensors[i]?.dims[d] ?? 1) : dim)),
      row,
    ),
  );
  return { tensors, rows: 1 };
}

/**
 * Tries whether dimension 0 is a batch of rows that do not see each other: runs distinct rows alone, then joined in two
 * orders, and compares. A sequence axis, or a softmax over axis 0, gives itself away; a trial that fails, or whose rows
 * cannot be told apart by their outputs, leaves it undecided, and undecided means no joining.
 */
export async function tryJoining(run: Run, rows: readonly Feeds[]): Promise<Verdict> {
  // Two rows of a few booleans could agree by chance.
  if (rows.length < ROWS) return undecided(`there are only ${rows.length} distinct trial rows, of ${ROWS} needed`);
  const alone: Tensor[][] = [];
  for (const row of rows) {
    const started = performance.now();
    try {
      alone.push(await run(joinRows([{ feeds: row, first: 0, rows: 1 }])));
    } catch (error) {
      return undecided(`a trial row failed (${(error as Error).message})`);
    }
    if (performance.now() - started > SLOWEST_MS) return undecided(`a row takes longer than ${SLOWEST_MS} ms`);
  }
  if (alone.some((outputs) => outputs.some(({ dims }) => dims[0] !== 1))) {
    return { join: false, why: "an output's first dimension does not follow the input's" };
  }
  if (alone.slice(1).every((outputs) => sameOutputs(outputs, alone[0]!))) {
    return undecided('the trial rows all gave the same outputs');
  }
  const forward = rows.map((_, i) => i);
  for (const order of [forward, forward.toReversed()]) {
    const verdict = await compareJoined(run, rows, alone, order);
    if (!verdict.join) return verdict;
  }
  return { join: true, why: undefined };
}

async function compareJoined(
  run: Run,
  rows: readonly Feeds[],
  alone: readonly Tensor[][],
  order: readonly number[],
): Promise<Verdict> {
  let joined: Tensor[];
  try {
    joined = await run(joinRows(order.map((i) => ({ feeds: rows[i]!, first: 0, rows: 1 }))));
  } catch (error) {
    return undecided(`joined trial rows failed (${(error as Error).message})`);
  }
  for (const [o, output] of joined.entries()) {
    if (output.dims[0] !== rows.length) return { join: false, why: `output ${o} has no row for each row fed` };
    for (const [position, i] of order.entries()) {
      const difference = findDifference(alone[i]![o]!, sliceRows(output, position, 1), TOLERANCE);
      if (difference !== undefined) {
        const { expected, got } = difference;
        return { join: false, why: `output ${o} of a row changes with its company: ${expected} alone, ${got} joined` };
      }
    }
  }
  return { join: true, why: undefined };
}

const sameFeeds = (a: Feeds, b: Feeds): boolean =>
  a.tensors.every((tensor, i) => findDifference(tensor!, b.tensors[i]!, 0) === undefined);
const sameOutputs = (a: readonly Tensor[], b: readonly Tensor[]): boolean =>
  a.every((tensor, i) => findDifference(tensor, b[i]!, 0) === undefined);

function undecided(why: string): Verdict {
  return { join: false, why: `${why}; to decide it, add golden.json, or set "batching": true or false in model.json` };
}
