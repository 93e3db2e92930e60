import { DATA_TYPES } from '../../onnx/data-type.ts';
import { scopesOf, usesIn } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import { bytesOfTensor, readChunks, setTensor } from '../../onnx/edit/tensor-data.ts';
import type { NodeProto, TensorProto } from '../../onnx/proto/onnx_pb.ts';

interface SparsityOptions {
  /** The share of the weights of each tensor that become zero, 0 to 1. */
  readonly share: number;
  /** Called with the bytes of weights that were read, and those of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** The weights of a model after magnitude pruning. */
export interface Sparsified {
  /** Tensors with weights. */
  readonly tensors: number;
  /** Their elements, and how many of them are zero. */
  readonly elements: number;
  readonly zeros: number;
  /** Tensors with weights whose type is neither float32 nor float16. */
  readonly skipped: number;
}

/** The inputs with the weights of a layer, by operator; the biases and the tables of embeddings are no such weights. */
const WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  MatMul: [0, 1],
  Gemm: [0, 1],
  Conv: [1],
  ConvTranspose: [1],
  RNN: [1, 2],
  GRU: [1, 2],
  LSTM: [1, 2],
};

/** Magnitudes as integers: floats of one sign are in the order of their bits. */
const FORMATS = new Map([
  [DATA_TYPES.float32 as number, { Elements: Uint32Array, magnitude: 0x7fff_ffff, shift: 16 }],
  [DATA_TYPES.float16 as number, { Elements: Uint16Array, magnitude: 0x7fff, shift: 0 }],
]);
type Format = NonNullable<ReturnType<typeof FORMATS.get>>;

/**
 * Sets the weights with the smallest magnitudes to zero, the same share of each tensor: those of dense, convolutional and recurrent
 * layers. The zeros are written as the model is; nothing but counts is in memory.
 * @throws the reason of the signal
 */
export async function sparsify(model: EditableModel, options: SparsityOptions): Promise<Sparsified> {
  const { share, onProgress = () => {}, signal } = options;
  const found = weightsOf(model);
  const tensors = found.filter(({ dataType }) => FORMATS.has(dataType));
  const total = tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
  let [done, elements, zeros] = [0, 0, 0];
  for (const tensor of tensors) {
    const format = FORMATS.get(tensor.dataType)!;
    const bytes = bytesOfTensor(tensor);
    const count = bytes / format.Elements.BYTES_PER_ELEMENT;
    const limit = await findLimit(model, tensor, format, Math.floor(count * share));
    signal?.throwIfAborted();
    // The elements as they are now: a copy of the message, because they are read when those of the tensor itself are replaced.
    const before = Object.assign(Object.create(Object.getPrototypeOf(tensor)), tensor) as TensorProto;
    setTensor(tensor, { data: { bytes, chunks: () => zeroed(model, before, format, limit) } });
    elements += count;
    zeros += limit.zeros;
    done += bytes;
    onProgress(done, total);
  }
  return { tensors: tensors.length, elements, zeros, skipped: found.length - tensors.length };
}

/** The initializers of two dimensions and more that only layers read, as their weights. */
function weightsOf({ proto }: EditableModel): TensorProto[] {
  return [...scopesOf(proto)].flatMap((scope) => {
    const uses = usesIn(scope);
    const inputs = new Set(scope.graph?.input.map(({ name }) => name));
    return (scope.graph?.initializer ?? []).filter(({ name, dims }) => {
      const readers = uses.of(name);
      if (readers.length === 0 || uses.isOutput(name) || inputs.has(name) || dims.length < 2) return false;
      return readers.every(({ node, input }) => isWeight(node, input));
    });
  });
}

const isWeight = ({ opType, domain }: NodeProto, input: number): boolean =>
  (domain === '' || domain === 'ai.onnx') && Object.hasOwn(WEIGHTS, opType) && WEIGHTS[opType]!.includes(input);

/** All magnitudes below `magnitude` become zero, and the first `ties` that equal it. */
interface Limit {
  readonly magnitude: number;
  readonly ties: number;
  /** Zeros of the tensor afterwards, those that it has already included. */
  readonly zeros: number;
}

/**
 * Finds the limit at which `count` elements are zero: a count of the upper 16 bits of all magnitudes, then of the lower bits of those
 * that share the upper bits of the limit.
 */
async function findLimit(model: EditableModel, tensor: TensorProto, format: Format, count: number): Promise<Limit> {
  const { shift } = format;
  const upper = new Float64Array(2 ** 16);
  let existing = 0;
  await eachMagnitude(model, tensor, format, (magnitude) => {
    upper[magnitude >>> shift]!++;
    if (magnitude === 0) existing++;
  });
  const head = position(upper, count);
  const lower = new Float64Array(2 ** shift);
  if (shift > 0) {
    await eachMagnitude(model, tensor, format, (magnitude) => {
      if (magnitude >>> shift === head.at) lower[magnitude & 0xffff]!++;
    });
  }
  const tail = shift > 0 ? position(lower, count - head.below) : { at: 0, below: 0 };
  const magnitude = head.at * 2 ** shift + tail.at;
  return { magnitude, ties: count - head.below - tail.below, zeros: Math.max(count, existing) };
}

/** The bucket with the element of that index, in ascending order, and the elements in the buckets before it. */
function position(buckets: Float64Array, index: number): { at: number; below: number } {
  let below = 0;
  for (let at = 0; at < buckets.length; at++) {
    if (below + buckets[at]! > index) return { at, below };
    below += buckets[at]!;
  }
  return { at: buckets.length, below };
}

async function eachMagnitude(
  model: EditableModel,
  tensor: TensorProto,
  { Elements, magnitude }: Format,
  add: (magnitude: number) => void,
): Promise<void> {
  for await (const chunk of readChunks(model, tensor)) {
    const elements = new Elements(chunk.buffer, 0, chunk.length / Elements.BYTES_PER_ELEMENT);
    for (const bits of elements) add(bits & magnitude);
  }
}

async function* zeroed(
  model: EditableModel,
  tensor: TensorProto,
  { Elements, magnitude }: Format,
  limit: Limit,
): AsyncGenerator<Uint8Array, void, undefined> {
  let { ties } = limit;
  for await (const chunk of readChunks(model, tensor)) {
    const elements = new Elements(chunk.buffer, 0, chunk.length / Elements.BYTES_PER_ELEMENT);
    for (let i = 0; i < elements.length; i++) {
      const size = elements[i]! & magnitude;
      if (size < limit.magnitude || (size === limit.magnitude && ties-- > 0)) elements[i] = 0;
    }
    yield chunk;
  }
}
