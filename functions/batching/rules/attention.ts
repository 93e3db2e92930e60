import { isSameAxis } from '../values/merge.ts';
import {
  carriesRows,
  mixed,
  moved,
  newSize,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  sameRows,
  unknown,
} from '../values/operation.ts';
import { isNumber, ONE, type Size } from '../values/size.ts';
import { extentOf, isLost, rowAxis, type Tracked, withRows } from '../values/tracked-value.ts';
import { broadcast } from './elementwise.ts';

/**
 * Operators that onnxruntime's optimizer fuses transformers into, and ONNX's own of operator set 23:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */

/** The axis of the batch of each input that has one, by the input's index; every other input is a weight. */
type BatchAxes = Readonly<Record<number, number>>;

interface Fused {
  readonly batch: BatchAxes;
  /** Inputs that may be the same for all rows: with the size 1 along the batch, or without that axis. */
  readonly shared?: readonly number[];
  /** For each output, the axis of its batch. */
  readonly outputs: readonly number[];
}

const NOT_BATCH = 'the rows do not lie along the axis of the batch';

function fused({ batch, shared = [], outputs }: Fused): Rule {
  return {
    apply(operation) {
      const [first] = Object.keys(batch)
        .map((i) => operation.inputs[Number(i)])
        .filter(carriesRows);
      if (first === undefined) {
        return operation.inputs.some(carriesRows) ? unknown(operation, NOT_BATCH) : ofConstants(operation);
      }
      const plain = rowAxis(0, first.rows.outer, first.rows.inner);
      for (const [i, input] of operation.inputs.entries()) {
        if (input === undefined) continue;
        const axis = batch[i];
        if (carriesRows(input)) {
          if (axis === undefined || !isSameAxis(input.rows, { ...plain, axis })) return mixed(operation, NOT_BATCH);
        } else if (axis !== undefined && !(shared.includes(i) && isShared(input, axis))) {
          return mixed(operation, 'an input of a fixed size meets the rows');
        }
      }
      // The ranks of outputs after the first are not followed.
      return outputs.map((axis, i) => moved(plain, axis, i === 0 ? shapeOf(operation, first) : undefined));
    },
  };
}

/** Whether an input is the same for every row. */
const isShared = ({ shape }: Tracked, axis: number): boolean =>
  shape !== undefined && (shape.length <= axis || isNumber(shape[axis], 1));

/** The rank of a result is that of its query, or 3 if keys and values are packed with it; only the size of its row axis is known. */
function shapeOf(operation: Operation, { shape, rows }: Tracked): Size[] | undefined {
  return shape
    ?.slice(0, shape.length > 4 ? 3 : 4)
    .map((_, axis) => (axis === 0 ? extentOf(rows!) : newSize(operation, axis)));
}

/** SkipLayerNormalization: LayerNormalization of a sum. Its further outputs are the mean, the deviation and the sum. */
function skipNormalization(operation: Operation): Result {
  const [input, skip, ...parameters] = operation.inputs as [Tracked, Tracked, ...(Tracked | undefined)[]];
  if (parameters.some(carriesRows)) return mixed(operation, 'its parameters depend on rows');
  // The result has the shape of the input, whatever shape the skip has.
  if (carriesRows(skip) && !carriesRows(input)) return mixed(operation, 'an input of a fixed size meets the rows');
  const sum = broadcast(operation, [input, skip]);
  if (isLost(sum) || !carriesRows(sum)) return sum;
  if (sum.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  if (sum.rows.axis === sum.shape.length - 1) return mixed(operation, 'it normalizes over the rows');
  const last = sum.shape.length - 1;
  const statistics = withRows(
    sum.rows,
    sum.shape.map((size, axis) => (axis === last ? ONE : size)),
  );
  return [sum, statistics, statistics, sum];
}

/** EmbedLayerNormalization: vectors of the ids of words and segments; the second output is the length of each text in the mask. */
function embedding(operation: Operation): Result {
  const [ids, segments, , , , , , mask, positions] = operation.inputs;
  if (!carriesRows(ids))
    return operation.inputs.some(carriesRows) ? unknown(operation, NOT_BATCH) : ofConstants(operation);
  if (operation.inputs.slice(2, 7).some(carriesRows)) return mixed(operation, 'its weights depend on rows');
  if (ids.rows.axis !== 0) return mixed(operation, NOT_BATCH);
  for (const input of [segments, mask]) {
    if (input !== undefined && !(carriesRows(input) && isSameAxis(input.rows, ids.rows))) {
      return mixed(operation, 'an input of a fixed size meets the rows');
    }
  }
  if (
    positions !== undefined &&
    !(carriesRows(positions) ? isSameAxis(positions.rows, ids.rows) : isShared(positions, 0))
  ) {
    return mixed(operation, NOT_BATCH);
  }
  const vectors = withRows(ids.rows, ids.shape && [...ids.shape, newSize(operation, 'hidden')]);
  return [vectors, withRows(ids.rows, [extentOf(ids.rows)]), vectors];
}

/** Attention of ONNX (operator set 23): the mask is broadcast to [batch, heads, queries, keys]. */
function attention(operation: Operation): Result {
  const [query, , , mask] = operation.inputs as (Tracked | undefined)[];
  if (mask !== undefined) {
    if (mask.shape === undefined) return unknown(operation, RANK_UNKNOWN);
    const batchAxis = mask.shape.length - 4;
    const fits = carriesRows(mask)
      ? batchAxis === 0 && mask.rows.axis === 0
      : batchAxis < 0 || isNumber(mask.shape[0], 1);
    if (!fits) return mixed(operation, 'its mask does not have the rows along the axis of the batch');
  }
  const shared = mask !== undefined && !carriesRows(mask) ? [3] : [];
  const result = fused({ batch: { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0 }, shared, outputs: [0, 0, 0, 0] });
  const inputs =
    shared.length > 0 ? operation.inputs.map((input, i) => (i === 3 ? undefined : input)) : operation.inputs;
  return query === undefined ? unknown(operation, 'its query is missing') : result.apply({ ...operation, inputs });
}

/** RotaryEmbedding: rotates pairs of numbers by their positions; the tables of sines and cosines are constants. */
function rotary(operation: Operation): Result {
  const isOnnx = operation.type === 'RotaryEmbedding';
  const [input] = operation.inputs as [Tracked];
  const [positions, ...tables] = isOnnx
    ? [operation.inputs[3], operation.inputs[1], operation.inputs[2]]
    : [operation.inputs[1], operation.inputs[2], operation.inputs[3]];
  if (!carriesRows(input))
    return operation.inputs.some(carriesRows) ? unknown(operation, NOT_BATCH) : ofConstants(operation);
  if (input.rows.axis !== 0) return mixed(operation, NOT_BATCH);
  if (isOnnx && positions === undefined) {
    return tables.every((table) => carriesRows(table) && isSameAxis(table.rows, input.rows))
      ? sameRows(input)
      : mixed(operation, 'tables of a fixed size meet the rows');
  }
  if (tables.some(carriesRows)) return mixed(operation, 'its tables depend on rows');
  if (positions === undefined || isConstantOffset(positions)) return sameRows(input);
  if (!carriesRows(positions)) return mixed(operation, 'positions of a fixed number meet the rows');
  return isSameAxis(positions.rows, input.rows) ? sameRows(input) : mixed(operation, NOT_BATCH);
}

const isConstantOffset = ({ rows, shape }: Tracked): boolean =>
  rows === undefined && shape?.length === 1 && isNumber(shape[0], 1);

/** A mask of rank 1 may be the lengths [batch], or [2 × batch] and more, which are not in the order of the rows. */
function microsoftAttention(operation: Operation): Result {
  const mask = operation.inputs[3];
  if (mask !== undefined && mask.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  return fused({ batch: { 0: 0, 3: 0, 4: 1, 5: 0 }, shared: [5], outputs: [0, 1] }).apply(operation);
}

const past: BatchAxes = { 6: 0, 7: 0 };

/** Rules of the attention operators, ONNX's own and those of com.microsoft, to which onnxruntime's optimizer fuses transformers. */
export const ATTENTION: Rules = {
  Attention: { apply: attention },
  RotaryEmbedding: { apply: rotary },
  'com.microsoft.Attention': { apply: microsoftAttention },
  'com.microsoft.EmbedLayerNormalization': { apply: embedding },
  'com.microsoft.GroupQueryAttention': fused({
    batch: { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 9: 0, 10: 0 },
    shared: [10],
    outputs: [0, 0, 0],
  }),
  'com.microsoft.MultiHeadAttention': fused({
    batch: { 0: 0, 1: 0, 2: 0, 4: 0, 5: 0, ...past },
    shared: [5],
    outputs: [0, 0, 0],
  }),
  'com.microsoft.QAttention': fused({ batch: { 0: 0, 5: 0, 8: 1 }, outputs: [0, 1] }),
  'com.microsoft.RotaryEmbedding': { apply: rotary },
  'com.microsoft.SkipLayerNormalization': { apply: skipNormalization },
  'com.microsoft.SkipSimplifiedLayerNormalization': { apply: skipNormalization },
};
