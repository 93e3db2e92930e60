import { ALL_ROWS } from '../../engine/batcher.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { encodeNested, encodeRow } from '../../tensor/encode.ts';
import type { Signature, Tensor, TensorSpec } from '../../tensor/tensor.ts';
import type { WriteInstance } from './run-instances.ts';

/** An output of strings whose name ends so holds bytes, which are written as `{"b64": …}`. */
const BYTES_SUFFIX = '_bytes';

/** Writes the outputs of one instance, as TensorFlow Serving does: the value of the only one, or an object of all by name. */
export function createInstanceWriter({ signature, joined }: Pick<Generation, 'signature' | 'joined'>): WriteInstance {
  return (outputs, row, isRow) =>
    byName(signature, (slot) => {
      const tensor = outputs[slot]!;
      const asRow = isRow && row !== ALL_ROWS && (joined || tensor.dims[0] === 1);
      if (!holdsBytes(signature.outputs[slot]!)) return asRow ? encodeRow(tensor, row) : encodeNested(tensor);
      return nestBytes(tensor, asRow ? 1 : 0, asRow ? row : 0);
    });
}

function byName({ outputs }: Signature, textOf: (slot: number) => string): string {
  if (outputs.length === 1) return textOf(0);
  let members = '';
  for (const [slot, { name }] of outputs.entries()) {
    members += `${slot === 0 ? '' : ','}${JSON.stringify(name)}:${textOf(slot)}`;
  }
  return `{${members}}`;
}

/** Whether the values of an output are written as base64. */
export const holdsBytes = ({ dtype, name }: TensorSpec): boolean => dtype === 'string' && name.endsWith(BYTES_SUFFIX);

/** Strings as base64, nested as the dims from `level` on say. @param index which part of the tensor, in parts of that level. */
export function nestBytes({ dims, data }: Tensor, level: number, index: number): string {
  if (level === dims.length) return `{"b64":"${Buffer.from(data[index] as string).toString('base64')}"}`;
  const length = dims[level]!;
  const parts: string[] = [];
  for (let i = 0; i < length; i++)
    parts.push(nestBytes({ dtype: 'string', dims, data }, level + 1, index * length + i));
  return `[${parts.join(',')}]`;
}
