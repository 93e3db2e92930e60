import type { Feeds } from '../engine/batch-rows.ts';
import { META } from '../engine/prepared/text-meta.ts';
import { ServingError } from '../errors.ts';
import { elementCount, type Tensor, type TensorData, type TensorSpec, valuesOf } from '../tensor/tensor.ts';
import { MODE } from './process/text-frames.ts';
import { ALWAYS, requestOf } from './tokenizer-requests.ts';
import type { Tokenizers } from './tokenizers.ts';

/**
 * The outputs of a row for callers of a model that labels tokens: its entities, and the last two of the engine.
 * @param text of which the row's tokens are; undefined: the caller gave ids
 * @throws ServingError the error of the row
 */
export async function findRowEntities(
  tokenizers: Tokenizers,
  text: string | undefined,
  maxLength: number,
  outputs: readonly Tensor[],
): Promise<readonly Tensor[]> {
  if (text === undefined) {
    throw new ServingError('INVALID_INPUT', 'entities are parts of a text: expected a text, and not token ids');
  }
  const logits = outputs.find(({ dims, dtype }) => dims.length === 3 && dtype.startsWith('float'));
  if (logits === undefined) {
    throw new ServingError('MODEL_FAILED', 'the model has no output of numbers for labels of each token');
  }
  const data = Float32Array.from(valuesOf(logits) as ArrayLike<number>);
  const request = requestOf([text], undefined, maxLength, MODE.places);
  const feeds = { tensors: [...request.tensors, { dtype: 'float32', dims: logits.dims, data } as const], rows: 1 };
  const [row] = await tokenizers.run(feeds, ALWAYS, { begun: true });
  if ('error' in row!) throw row.error;
  const entities = (row!.outputs[0]!.data as string[])[row!.at]!;
  return [{ dtype: 'string', dims: [1], data: [entities] }, ...outputs.slice(-2)];
}

/**
 * Outputs by token without those of the padding.
 * @param specs of the engine's outputs
 * @param fixed the tokens of every row of a model of one length; otherwise -1. An output is by token if its second dimension is free, or
 * this.
 */
export async function trimRow(
  prepared: Feeds,
  outputs: readonly Tensor[],
  specs: readonly TensorSpec[],
  fixed: number,
): Promise<readonly Tensor[]> {
  const [ids, , meta] = prepared.tensors;
  const length = (meta!.data as Int32Array)[META.length]!;
  const width = ids!.dims[1];
  return outputs.map((output, slot): Tensor => {
    const { dtype, dims, data } = output;
    const { shape, anyRank } = specs[slot]!;
    const isByToken = anyRank === true || shape[1] === -1 || shape[1] === fixed;
    if (!isByToken || dims[1] !== width) return output;
    const kept = [1, length, ...dims.slice(2)];
    return { dtype, dims: kept, data: data.slice(0, elementCount(kept)) as TensorData };
  });
}
