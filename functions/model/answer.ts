import type { Signature, Tensor } from '../engine/tensor.ts';
import { encodeNested, encodeRow } from '../engine/tensor-encode.ts';
import type { Manifest } from './manifest.ts';

/** Writes a row's outputs as the JSON of the native contract. */
export interface RowWriter {
  /**
   * The members of a prediction, without the braces: `"prediction":…,"label":…,"outputs":{…}`.
   * @param row which row of the outputs.
   * @param isRow the caller gave one row: the outputs' first dimension is left out where it has a row for each row fed.
   */
  write(outputs: readonly Tensor[], row: number, isRow: boolean): string;
}

/**
 * `prediction` is the row's value of the manifest's `output`, else of the first output. `label` is there when the
 * manifest names the classes and the prediction is a class index, or a score for each class.
 */
export function createRowWriter(signature: Signature, { output, classes }: Manifest, joined: boolean): RowWriter {
  const main = Math.max(
    0,
    signature.outputs.findIndex(({ name }) => name === output),
  );
  const keys = signature.outputs.map(({ name }, i) => `${i === 0 ? '' : ','}${JSON.stringify(name)}:`);
  const labels = classes?.map((name) => `,"label":${JSON.stringify(name)}`);

  const byRow = ({ dims }: Tensor, isRow: boolean): boolean => isRow && (joined || dims[0] === 1);

  return {
    write(outputs, row, isRow) {
      let members = '';
      let prediction = '';
      for (let slot = 0; slot < outputs.length; slot++) {
        const tensor = outputs[slot]!;
        const text = byRow(tensor, isRow) ? encodeRow(tensor, row) : encodeNested(tensor);
        if (slot === main) prediction = text;
        members += keys[slot] + text;
      }
      const chosen = outputs[main]!;
      const index = labels === undefined ? -1 : classOf(chosen, byRow(chosen, isRow) ? row : -1, labels.length);
      const label = index === -1 ? '' : (labels![index] ?? '');
      return `"prediction":${prediction}${label},"outputs":{${members}}`;
    },
  };
}

/**
 * The class that the main output names: an index, or where there is a score for each class, the highest; else -1.
 * @param row which row of it is meant; -1 where it is no row, and all of it is.
 */
function classOf({ dims, data: held, dtype }: Tensor, row: number, classes: number): number {
  if (dtype === 'string') return -1;
  const data = dtype === 'float16' ? floatsOf(held as Uint16Array) : held;
  const width = row === -1 ? data.length : data.length / (dims[0] ?? 1);
  const first = Math.max(0, row) * width;
  if (width === 1) {
    const index = Number(data[first]);
    return Number.isInteger(index) ? index : -1;
  }
  if (width !== classes || !dtype.startsWith('float')) return -1;
  let best = first;
  for (let i = first; i < first + width; i++) if (Number(data[i]) > Number(data[best])) best = i;
  return best - first;
}

const floatsOf = ({ buffer, byteOffset, length }: Uint16Array): Float16Array =>
  new Float16Array(buffer, byteOffset, length);
