import { createHash } from 'node:crypto';
import { DATA_TYPES } from '../../onnx/data-type.ts';
import { canRead, type Scope, scopesOf, usesIn } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import { bytesOfTensor, hasRawElements, readChunks } from '../../onnx/edit/tensor-data.ts';
import type { TensorProto } from '../../onnx/proto/onnx_pb.ts';

interface DuplicateOptions {
  /** Called with the bytes that were compared and those of all candidates. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Lets the readers of initializers with the same type, shape and bytes read the first of them, within each graph. The others are
 * unused then. Initializers that a caller may replace, and outputs, keep their readers.
 * @returns the number of initializers that are no longer read, and their bytes
 */
export async function mergeDuplicates(
  model: EditableModel,
  { onProgress = () => {}, signal }: DuplicateOptions = {},
): Promise<{ readonly count: number; readonly bytes: number }> {
  const groups = [...scopesOf(model.proto)].flatMap((scope) =>
    candidatesOf(model, scope).map((tensors) => ({ scope, tensors })),
  );
  const total = groups.reduce((sum, { tensors }) => sum + tensors.reduce((all, tensor) => all + sizeOf(tensor), 0), 0);
  let [done, count, bytes] = [0, 0, 0];
  for (const { scope, tensors } of groups) {
    const firsts = new Map<string, TensorProto>();
    for (const tensor of tensors) {
      signal?.throwIfAborted();
      const digest = await digestOf(model, tensor);
      done += sizeOf(tensor);
      onProgress(done, total);
      const first = firsts.get(digest);
      if (first === undefined) firsts.set(digest, tensor);
      else if (redirect(scope, tensor, first)) {
        count++;
        bytes += sizeOf(tensor);
      }
    }
  }
  return { count, bytes };
}

/** Initializers of a graph with the same type and shape, as lists of two and more. */
function candidatesOf({ proto }: EditableModel, { graph }: Scope): TensorProto[][] {
  if (graph === undefined) return [];
  const inputs = new Set(proto.irVersion >= 4n ? graph.input.map(({ name }) => name) : []);
  const fixed = graph.initializer.filter((tensor) => !inputs.has(tensor.name) && isComparable(tensor));
  const groups = Map.groupBy(fixed, ({ dataType, dims }) => `${dataType}[${dims}]`);
  return [...groups.values()].filter((tensors) => tensors.length > 1);
}

const isText = ({ dataType }: TensorProto): boolean => dataType === DATA_TYPES.string;
const isComparable = (tensor: TensorProto): boolean => isText(tensor) || hasRawElements(tensor);
const sizeOf = (tensor: TensorProto): number =>
  isText(tensor) ? tensor.stringData.reduce((sum, { length }) => sum + length, 0) : bytesOfTensor(tensor);

async function digestOf(model: EditableModel, tensor: TensorProto): Promise<string> {
  const hash = createHash('sha256');
  if (isText(tensor)) for (const text of tensor.stringData) hash.update(`${text.length}:`).update(text);
  else for await (const chunk of readChunks(model, tensor)) hash.update(chunk);
  return hash.digest('hex');
}

function redirect(scope: Scope, { name }: TensorProto, first: TensorProto): boolean {
  const uses = usesIn(scope);
  // An unused one is for another pass.
  if (uses.isUnused(name) || uses.isOutput(name) || !canRead(scope, uses.of(name), first.name)) return false;
  for (const { node, input } of uses.of(name)) node.input[input] = first.name;
  return true;
}
