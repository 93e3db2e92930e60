import { plainFeatures } from '../../routes/openapi/example.ts';
import { encodeNested, encodeRow } from '../../tensor/encode.ts';
import { readJson } from '../../tensor/json/reader.ts';
import { elementCount, type Signature, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';
import type { FirstManifest } from '../write-settings/plan-manifest.ts';
import type { Examination } from './examine.ts';

/** The most elements of an example: those of a picture would make the file too long to read. */
const MOST_ELEMENTS = 1000;

/** The `model.json` of a model that serves: its signature as text, its main output, the classes that its files name, and a row that ran. */
export function firstManifest({ served, row, huggingFace }: Examination): FirstManifest | undefined {
  if (served === undefined) return undefined;
  const { signature } = served;
  const [main] = signature.outputs;
  return {
    description: `Takes ${signature.inputs.map(specText).join(', ')}; returns ${signature.outputs.map(specText).join(', ')}.`,
    output: main?.name,
    classes: main !== undefined && fits(main, huggingFace?.labels) ? huggingFace!.labels : undefined,
    example: row === undefined ? undefined : exampleOf(signature, row.tensors),
  };
}

/** `x float32 [rows, 4]`: the first dimension is that of the rows if callers choose it. */
export function specText({ name, dtype, shape, anyRank, dimNames = [] }: TensorSpec): string {
  const dims = shape.map((dim, axis) => (dim === -1 ? (axis === 0 ? 'rows' : (dimNames[axis] ?? '?')) : String(dim)));
  return `${name} ${dtype} ${anyRank ? 'of any shape' : `[${dims.join(', ')}]`}`;
}

/** Whether labels are those of the scores of an output, as the server checks it. */
function fits({ dtype, shape }: TensorSpec, labels: readonly string[] | undefined): boolean {
  if (labels === undefined || !dtype.startsWith('float') || shape.length !== 2) return false;
  return shape[1] === -1 || shape[1] === labels.length;
}

function exampleOf(signature: Signature, tensors: readonly Tensor[]): FirstManifest['example'] {
  if (tensors.length === 0 || tensors.some(({ dims }) => elementCount(dims) > MOST_ELEMENTS)) return undefined;
  const values = signature.inputs.map(({ shape }, i) =>
    shape[0] === -1 || shape[0] === 1 ? encodeRow(tensors[i]!, 0) : encodeNested(tensors[i]!),
  );
  const named = signature.inputs.map(({ name }, i) => `${JSON.stringify(name)}:${values[i]}`);
  const text = values.length === 1 ? values[0]! : `{${named.join(',')}}`;
  return { features: plainFeatures(signature, readJson(Buffer.from(text))) };
}
