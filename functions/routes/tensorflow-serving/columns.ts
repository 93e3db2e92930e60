import { setImmediate as turn } from 'node:timers/promises';
import { encodeNested } from '../../tensor/encode.ts';
import type { Signature, Tensor, TensorSpec } from '../../tensor/tensor.ts';
import { holdsBytes, nestBytes } from '../instances/instance-writer.ts';

/** Elements that are written before other requests get their turn: they take about a millisecond. */
const TURN_ELEMENTS = 16_384;

/** Writes entire outputs as JSON: the tensor of the only one, or an object of all by name. @param outputs in the order of the signature. */
export async function writeColumns({ outputs: specs }: Signature, outputs: readonly Tensor[]): Promise<string> {
  if (outputs.length === 1) return writeColumn(specs[0]!, outputs[0]!);
  const members: string[] = [];
  for (const [slot, tensor] of outputs.entries()) {
    const spec = specs[slot]!;
    members.push(`${JSON.stringify(spec.name)}:${await writeColumn(spec, tensor)}`);
  }
  return `{${members.join(',')}}`;
}

/** Writes a long tensor a few rows at a time: other requests get their turn in between. */
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
