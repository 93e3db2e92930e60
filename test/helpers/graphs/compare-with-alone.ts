import { stackRows } from '../../../functions/engine/batch-rows.ts';
import type { Session } from '../../../functions/engine/process/session.ts';
import { sliceRows } from '../../../functions/tensor/compare.ts';
import { elementCount, type Tensor } from '../../../functions/tensor/tensor.ts';
import type { Random } from '../../../scripts/fuzz/random.ts';
import type { ExportedGraph } from './graph.ts';

/** Some requests of one row and more, two rows at least in all. */
export function randomRequests({ feeds }: Pick<ExportedGraph, 'feeds'>, random: Random): Tensor[][] {
  const requests = Array.from({ length: 1 + random.int(3) }, () => feeds(random, 1 + random.int(3)));
  return [...requests, feeds(random, 1)];
}

/**
 * Runs every row of the requests alone, all of them joined, and all of them joined in reverse order, and compares what
 * each row got.
 *
 * @param requests for each the tensors in the order of the model's inputs, one row or more along their first dimension;
 *   all other dimensions are the same in all requests
 * @param tolerance how far a float may be off, as a share of the row's largest finite magnitude in that output (of 1
 *   where that is below 1): rounding in a sum is in proportion to its terms. All else must be equal; NaN equals NaN.
 * @returns the first difference in words, a run that failed among them, or undefined where there is none
 */
export async function compareWithAlone(
  session: Pick<Session, 'run'>,
  requests: readonly (readonly Tensor[])[],
  tolerance = 1e-5,
): Promise<string | undefined> {
  const stacked = stackRows(requests.map((tensors) => ({ tensors, rows: tensors[0]!.dims[0]! })));
  const tensors = stacked.tensors as readonly Tensor[];
  const { rows } = stacked;
  const alone: Tensor[][] = [];
  for (let row = 0; row < rows; row++) {
    const outputs = await run(
      session,
      tensors.map((tensor) => sliceRows(tensor, row, 1)),
    );
    if (typeof outputs === 'string') return `row ${row} alone: ${outputs}`;
    alone.push(outputs);
  }
  const order = Array.from({ length: rows }, (_, row) => row);
  for (const [title, rowsAt] of [
    ['joined', order],
    ['reversed', order.toReversed()],
  ] as const) {
    const shuffled = title === 'joined' ? tensors : tensors.map((tensor) => reorder(tensor, rowsAt));
    const outputs = await run(session, shuffled);
    if (typeof outputs === 'string') return `${title}: ${outputs}`;
    const difference = compareRows(alone, outputs, rowsAt, tolerance);
    if (difference !== undefined) return `${title}: ${difference}`;
  }
  return undefined;
}

function compareRows(
  alone: readonly (readonly Tensor[])[],
  outputs: readonly Tensor[],
  rowsAt: readonly number[],
  tolerance: number,
): string | undefined {
  for (const [at, output] of outputs.entries()) {
    for (const [place, row] of rowsAt.entries()) {
      const one = alone[row]![at]!;
      const alike = one.dims[0] === 1 && output.dims[0] === rowsAt.length;
      if (!alike || one.dims.slice(1).join() !== output.dims.slice(1).join()) {
        return `output ${at} has shape [${output.dims}] for ${rowsAt.length} rows, [${one.dims}] for one`;
      }
      const other = sliceRows(output, place, 1);
      if (haveSameBits(one, other)) continue;
      const difference = compareRow(one, other, tolerance);
      if (difference !== undefined) return `output ${at}, row ${row}, ${difference}`;
    }
  }
  return undefined;
}

/** Most rows have: no element of them needs to be looked at. */
function haveSameBits({ data: a }: Tensor, { data: b }: Tensor): boolean {
  if (Array.isArray(a) || Array.isArray(b)) return false;
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
}

function compareRow(expected: Tensor, got: Tensor, tolerance: number): string | undefined {
  const left = numbers(expected);
  const right = numbers(got);
  const float = expected.dtype.startsWith('float');
  let scale = 1;
  if (float) for (const item of left) if (Number.isFinite(item)) scale = Math.max(scale, Math.abs(Number(item)));
  for (const [i, a] of left.entries()) {
    const b = right[i]!;
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const by = Math.abs(Number(a) - Number(b));
    if (float && by <= tolerance * scale && by < Number.POSITIVE_INFINITY) continue;
    return `element ${i}: ${a} alone, ${b} with others`;
  }
  return undefined;
}

function numbers({ dtype, data }: Tensor): readonly (number | bigint | string)[] {
  if (dtype !== 'float16') return Array.from<number | bigint | string>(data as ArrayLike<number>);
  const bits = data as Uint16Array;
  return Array.from(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

function reorder(tensor: Tensor, rowsAt: readonly number[]): Tensor {
  const size = elementCount(tensor.dims.slice(1));
  const data = tensor.data.slice();
  for (const [place, row] of rowsAt.entries()) {
    for (let i = 0; i < size; i++) data[place * size + i] = tensor.data[row * size + i]!;
  }
  return { ...tensor, data };
}

async function run(session: Pick<Session, 'run'>, tensors: readonly Tensor[]): Promise<Tensor[] | string> {
  try {
    return await session.run(tensors.map((tensor, slot) => ({ slot, ...tensor })));
  } catch (error) {
    return `the run failed: ${error instanceof Error ? error.message : error}`;
  }
}
