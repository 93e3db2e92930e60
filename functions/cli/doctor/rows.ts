import { type Feeds, joinRows } from '../../engine/batch-rows.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import { trialRows } from '../../model/serving/batching-decision.ts';
import { syntheticTensor } from '../../tensor/compare.ts';
import type { Signature } from '../../tensor/tensor.ts';
import type { MeasuredEngine } from '../measure/engine.ts';
import type { Served } from './try-model.ts';

/** Rows of different values, so that a run of many is not one row over and over. */
const ROWS = 4;
/** Lengths to try for free dimensions after the first: for pictures and for everything else, then the shortest. */
const LENGTHS = [
  { picture: 224, other: 16 },
  { picture: 16, other: 1 },
  { picture: 1, other: 1 },
];
/** Inputs of models of texts whose values follow from their name; one of a token's type beyond the model's few fails the run. */
const KNOWN_VALUES: Readonly<Record<string, (token: number) => number>> = {
  attention_mask: () => 1,
  token_type_ids: () => 0,
  position_ids: (token) => token,
};
/** The longest time to wait for a made-up row, which may never end. */
const TRIAL_MS = 20_000;

/**
 * Rows with which the model runs: the example of model.json and golden rows, or else made-up ones.
 * @returns rows of one key; none if no made-up row runs
 */
export async function rowsThatRun(
  engine: Pick<MeasuredEngine, 'run'>,
  served: Pick<Served, 'signature' | 'known'>,
): Promise<Feeds[]> {
  if (served.known.length > 0) {
    const rows = trialRows(served.known.toReversed());
    return rows.length > 0 ? rows : [served.known[0]!];
  }
  for (const { picture, other } of LENGTHS) {
    const rows = Array.from({ length: ROWS }, (_, row) => madeUpRow(served.signature, row, picture, other));
    try {
      await engine.run(joinRows([{ feeds: rows[0]!, first: 0, rows: 1 }]), TRIAL_MS);
      return rows;
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      // The process has ended.
      if (error.fault !== 'failed') return [];
    }
  }
  return [];
}

function madeUpRow({ inputs }: Signature, row: number, picture: number, other: number): Feeds {
  const tensors = inputs.map(({ name, dtype, shape }) => {
    const free = (axis: number): number => (axis === 0 ? 1 : shape.length > 3 && axis > 1 ? picture : other);
    const tensor = syntheticTensor(
      dtype,
      shape.map((dim, axis) => (dim === -1 ? free(axis) : dim)),
      row,
    );
    const known = Object.hasOwn(KNOWN_VALUES, name) ? KNOWN_VALUES[name]! : undefined;
    for (let i = 0; known !== undefined && i < tensor.data.length; i++) {
      if (tensor.data instanceof BigInt64Array) tensor.data[i] = BigInt(known(i));
      else if (tensor.data instanceof Int32Array) tensor.data[i] = known(i);
    }
    return tensor;
  });
  return { tensors, rows: 1 };
}
