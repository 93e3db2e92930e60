import { setImmediate as turn } from 'node:timers/promises';
import { ALL_ROWS } from '../../engine/batcher.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { encodeNested, encodeRow } from '../../tensor/encode.ts';
import type { Signature, Tensor, TensorSpec } from '../../tensor/tensor.ts';
import type { WriteInstance } from '../instances/run-instances.ts';

/** An output of strings whose name ends so holds bytes, which are answered as `{"b64": …}`. */
const BYTES_SUFFIX = '_bytes';
/** Elements that are written before others get their turn: about a millisecond. */
const TURN_ELEMENTS = 16_384;

/** Writes what a model gives for one instance: the value of its only output, or an object of all by name. */
export function createInstanceWriter({ signature, joined }: Pick<Generation, 'signature' | 'joined'>): WriteInstance {
  return (outputs, row, isRow) =>
    byName(signature, (slot) => {
      const tensor = outputs[slot]!;
      const asRow = isRow && row !== ALL_ROWS && (joined || tensor.dims[0] === 1);
      if (!holdsBytes(signature.outputs[slot]!)) return asRow ? encodeRow(tensor, row) : encodeNested(tensor);
      return nestBytes(tensor, asRow ? 1 : 0, asRow ? row : 0);
    });
}

/** Writes whole outputs: the only one's tensor, or an object of all by name. */
export async function writeColumns({ outputs: specs }: Signature, outputs: readonly Tensor[]): Promise<string> {
  if (outputs.length === 1) return writeColumn(specs[0]!, outputs[0]!);
  const members: string[] = [];
  for (const [slot, tensor] of outputs.entries()) {
    const spec = specs[slot]!;
    members.push(`${JSON.stringify(spec.name)}:${await writeColumn(spec, tensor)}`);
  }
  return `{${members.join(',')}}`;
}

/** Long ones a few rows at a time: others get their turn in between. */
async function writeColumn(spec: TensorSpec, tensor: Tensor): Promise<string> {
  const { dtype, dims, data } = tensor;
  const write = holdsBytes(spec) ? (part: Tensor): string => nestBytes(part, 0, 0) : encodeNested;
  const [rows] = dims;
  if (rows === undefined || data.length <= TURN_ELEMENTS) return write(tensor);
  const width = data.length / rows;
  const step = Math.max(1, Math.floor(TURN_ELEMENTS / width));
  const texts: string[] = [];
  for (let first = 0; first < rows; first += step) {
    const last = Math.min(rows, first + step);
    const [from, to] = [first * width, last * width];
    const part = Array.isArray(data) ? data.slice(from, to) : data.subarray(from, to);
    texts.push(write({ dtype, dims: [last - first, ...dims.slice(1)], data: part }).slice(1, -1));
    await turn();
  }
  return `[${texts.join(',')}]`;
}

function byName({ outputs }: Signature, textOf: (slot: number) => string): string {
  if (outputs.length === 1) return textOf(0);
  let members = '';
  for (const [slot, { name }] of outputs.entries()) {
    members += `${slot === 0 ? '' : ','}${JSON.stringify(name)}:${textOf(slot)}`;
  }
  return `{${members}}`;
}

const holdsBytes = ({ dtype, name }: TensorSpec): boolean => dtype === 'string' && name.endsWith(BYTES_SUFFIX);

/** Strings as base64, nested as the dims from `level` on say. @param index which part of the tensor, in parts of that level. */
function nestBytes({ dims, data }: Tensor, level: number, index: number): string {
  if (level === dims.length) return `{"b64":"${Buffer.from(data[index] as string).toString('base64')}"}`;
  const length = dims[level]!;
  const parts: string[] = [];
  for (let i = 0; i < length; i++)
    parts.push(nestBytes({ dtype: 'string', dims, data }, level + 1, index * length + i));
  return `[${parts.join(',')}]`;
}
