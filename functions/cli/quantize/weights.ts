import { DATA_TYPES } from '../../onnx/data-type.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import { readTensor, setTensor } from '../../onnx/edit/tensor-data.ts';
import { type InitializerType, initializer } from '../../onnx/proto/initializer.ts';
import type { GraphProto, TensorProto } from '../../onnx/proto/onnx_pb.ts';
import { Halves } from './kernels/half.ts';
import { transposeMatrices } from './kernels/transpose.ts';

/** A constant float32 tensor that a node reads. */
export interface Weight {
  /** The value as the node names it. */
  readonly name: string;
  /** As the node sees it. */
  readonly dims: readonly number[];
  /** The tensor that has the elements: an initializer, or that of a Constant. float32, or float16 or float64 behind a Cast. */
  readonly tensor: TensorProto;
  /** The tensor is the transposed matrix of what the node reads. */
  readonly isTransposed: boolean;
  /** The graph that has the tensor: others may read it too. */
  readonly graph: GraphProto;
}

/** Readers of the elements of a tensor as float32, by its type. */
export const READERS: ReadonlyMap<number, (bytes: Uint8Array<ArrayBuffer>) => Float32Array<ArrayBuffer>> = new Map([
  [DATA_TYPES.float32, ({ buffer }) => new Float32Array(buffer)],
  [DATA_TYPES.float64, ({ buffer }) => Float32Array.from(new Float64Array(buffer))],
  [DATA_TYPES.float16, ({ buffer }) => Float32Array.from(new Halves(buffer))],
]);

/** Reads the elements of a weight as its tensor has them: transposed, if `isTransposed` says so. */
export async function readStored(model: EditableModel, { tensor }: Weight): Promise<Float32Array<ArrayBuffer>> {
  return READERS.get(tensor.dataType)!(await readTensor(model, tensor));
}

/** Elements in the order of the stored tensor, in that of the weight. */
export function inOrder<T extends Float32Array | Int8Array | Uint8Array>(weight: Weight, stored: T): T {
  if (!weight.isTransposed) return stored;
  const [rows, columns] = weight.dims as [number, number];
  return transposeMatrices(stored, 1, columns, rows);
}

/** Adds an initializer to a graph. The elements are not copied. */
export function addInitializer(
  graph: GraphProto,
  name: string,
  dtype: InitializerType,
  dims: readonly number[],
  { buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>,
): string {
  const tensor = initializer(name, dtype, [0], []);
  setTensor(tensor, { dims, data: new Uint8Array(buffer, byteOffset, byteLength) });
  graph.initializer.push(tensor);
  return name;
}

/** The name of an element type of `DATA_TYPES`. */
export const nameOfType = (dataType: number): string =>
  Object.entries(DATA_TYPES).find(([, number]) => number === dataType)?.[0] ?? `type ${dataType}`;
