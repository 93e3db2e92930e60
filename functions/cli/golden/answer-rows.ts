import { type Feeds, findMisfit, joinRows, keyOf } from '../../engine/batch-rows.ts';
import { ServingError } from '../../errors.ts';
import type { Run } from '../../model/serving/batching-decision.ts';
import { sliceRows } from '../../tensor/compare.ts';
import { type Tensor, valuesOf } from '../../tensor/tensor.ts';
import type { Sample } from '../samples/samples.ts';

/** What the model gave for rows. */
export interface Answers {
  /** Of each row, in their order: its outputs, in the order of the signature. */
  readonly outputs: readonly (readonly Tensor[])[];
  /** Of each output: the largest difference between runs of a row alone. See {@link spread}. */
  readonly alone: readonly number[];
  /** Of each output: the largest difference between a row alone and joined with the others; undefined if they are not joined. */
  readonly joined: readonly number[] | undefined;
}

/** How often each row is run. A model that draws random numbers gives others in each run. */
const RUNS = 3;

/**
 * Runs each row several times alone, and once joined with the others.
 * @param joinsRows whether the server joins the rows of the model
 * @param onRow called with the number of rows that are done
 * @throws ServingError `MODEL_FAILED` with the place of a row that the model does not run, and the reason
 */
export async function answerRows(
  samples: readonly Sample[],
  run: Run,
  joinsRows: boolean,
  onRow: (done: number) => void,
): Promise<Answers> {
  const outputs: Tensor[][] = [];
  let alone: readonly number[] = [];
  for (const [i, { feeds, place }] of samples.entries()) {
    const inputs = joinRows([{ feeds, first: 0, rows: 1 }]);
    const first = await run(inputs).catch((cause: Error) => {
      throw new ServingError('MODEL_FAILED', `${place}: the model does not run this row: ${cause.message}`, { cause });
    });
    for (let again = 1; again < RUNS; again++) alone = largest(alone, spreads(first, await run(inputs)));
    outputs.push(first);
    onRow(i + 1);
  }
  return { outputs, alone, joined: joinsRows ? await joinedSpreads(samples, outputs, run) : undefined };
}

/** Runs the rows of one shape joined. @returns undefined if the model does not run them so */
async function joinedSpreads(
  samples: readonly Sample[],
  outputs: readonly (readonly Tensor[])[],
  run: Run,
): Promise<readonly number[] | undefined> {
  const key = keyOf(samples[0]!.feeds);
  const like = samples.flatMap(({ feeds }, i) => (keyOf(feeds) === key ? [{ feeds: feeds as Feeds, i }] : []));
  try {
    const joined = await run(joinRows(like.map(({ feeds }) => ({ feeds, first: 0, rows: 1 }))));
    if (findMisfit(joined, like.length) !== undefined) return undefined;
    const each = like.map(({ i }, at) =>
      spreads(
        outputs[i]!,
        joined.map((tensor) => sliceRows(tensor, at, 1)),
      ),
    );
    return each.reduce(largest);
  } catch {
    return undefined;
  }
}

const spreads = (expected: readonly Tensor[], got: readonly Tensor[]): number[] =>
  expected.map((tensor, i) => spread(tensor, got[i]!));
const largest = (a: readonly number[], b: readonly number[]): number[] =>
  b.map((value, i) => Math.max(value, a[i] ?? 0));

/**
 * The largest |got - expected| ÷ max(1, |expected|) of two tensors, which is what the tolerance of golden.json bounds; infinite if their
 * shapes, or values that are not floats, differ.
 */
export function spread(expected: Tensor, got: Tensor): number {
  if (expected.dims.join() !== got.dims.join()) return Number.POSITIVE_INFINITY;
  const isFloat = expected.dtype.startsWith('float');
  const left = valuesOf(expected);
  const right = valuesOf(got);
  let most = 0;
  for (let i = 0; i < left.length; i++) {
    const a = left[i]!;
    const b = right[i]!;
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const by = isFloat ? Math.abs(Number(b) - Number(a)) / Math.max(1, Math.abs(Number(a))) : Number.NaN;
    most = Math.max(most, Number.isNaN(by) ? Number.POSITIVE_INFINITY : by);
  }
  return most;
}
