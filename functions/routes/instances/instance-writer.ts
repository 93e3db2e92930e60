import { ALL_ROWS } from '../../engine/batcher.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { encodeJson, encodeNested, encodeRow } from '../../tensor/encode.ts';
import type { Signature, Tensor, TensorSpec } from '../../tensor/tensor.ts';
import type { WriteInstance } from './run-instances.ts';

/** The end of the name of a string output whose values are written as bytes, `{"b64": …}` (TensorFlow Serving, RESTful API). */
const BYTES_SUFFIX = '_bytes';

/** Makes a writer of an instance's outputs, as TensorFlow Serving has them: the value of the only output, or an object of all by name. */
export function createInstanceWriter({
  signature,
  joinsRows,
}: Pick<Generation, 'signature' | 'joinsRows'>): WriteInstance {
  return (outputs, row, isRow) =>
    byName(signature, (slot) => {
      const tensor = outputs[slot]!;
      const asRow = isRow && row !== ALL_ROWS && (joinsRows || tensor.dims[0] === 1);
      if (signature.outputs[slot]!.json) return encodeJson(tensor, asRow ? row : -1);
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

/**
 * Writes the strings of a part of a tensor as base64, in arrays by the dims from `level` on.
 * @param index of the part among those of that level.
 */
export function nestBytes({ dims, data }: Tensor, level: number, index: number): string {
  if (level === dims.length) return `{"b64":"${Buffer.from(data[index] as string).toString('base64')}"}`;
  const length = dims[level]!;
  const parts: string[] = [];
  for (let i = 0; i < length; i++)
    parts.push(nestBytes({ dtype: 'string', dims, data }, level + 1, index * length + i));
  return `[${parts.join(',')}]`;
}
