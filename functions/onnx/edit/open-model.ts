import { existsSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, normalize, resolve } from 'node:path';
import { ServingError } from '../../errors.ts';
import { inspectModel } from '../inspect.ts';
import { mapWeights } from '../map-weights.ts';
import { patchOutputs } from '../patch-outputs.ts';
import type { GraphProto, ModelProto } from '../proto/onnx_pb.ts';
import { readModel } from '../proto/read.ts';
import { openBytes } from '../wire.ts';

/** A model to change and write again. Its messages are edited in place. */
export interface EditableModel {
  /** The absolute path of its file. */
  readonly path: string;
  /**
   * The messages of the file; fields outside the subset of onnx.proto are kept. The elements of a large initializer stay in the file:
   * the tensor is one with external data, whose location is the model's own file or another of the same folder. Read its elements
   * with `readTensor` and replace them with `setTensor` of tensor-data.ts. A copy of the message refers to the same elements.
   */
  readonly proto: ModelProto;
  /** `proto.graph`. */
  readonly graph: GraphProto;
  /** Files with external data of the model, by their paths relative to its folder, each once. */
  readonly external: readonly string[];
  /** Bytes of its file and of its files with external data. */
  readonly bytes: number;
}

/**
 * Opens a model to change it:
 *
 *     const model = openModel('model.onnx');
 *     for (const { nodes, graph } of scopesOf(model.proto)) …   // graphs.ts: graphs, uses of a value, new names
 *     const weights = new Float32Array((await readTensor(model, tensor)).buffer);   // tensor-data.ts
 *     setTensor(tensor, { dtype: 'int8', data: bytes });   // or { bytes, chunks() } for what is made as it is written
 *     await writeModel(model, 'small.onnx', { onProgress });   // write-model.ts
 *
 * Large initializers are not read, so that memory grows with the nodes and not with the weights. Lists of numbers in
 * attributes, such as those of tree ensembles, and tensors in attributes are read into memory.
 *
 * @param path of an `.onnx` file, with its external data beside it. The files must not change as long as the model is used
 * @throws ServingError `MODEL_FAILED` for a file that is not a valid ONNX model, and for external data that is missing or outside
 * of the model's folder
 */
export function openModel(path: string): EditableModel {
  const { bytes, external } = inspectModel(path);
  const file = resolve(path);
  const sizes = external.map((location) => sizeOf(path, dirname(file), location));
  const proto = readModel(withoutWeights(file), path);
  return {
    path: file,
    proto,
    // readModel refuses a model without a graph.
    graph: proto.graph!,
    external: external.map((location) => normalize(location)),
    bytes: sizes.reduce((sum, size) => sum + size, bytes),
  };
}

/** The bytes of the model with its large initializers as external data at their place in its own file. */
function withoutWeights(file: string): Uint8Array<ArrayBuffer> {
  const bytes = openBytes(file);
  try {
    return patchOutputs(file, [], mapWeights(bytes, basename(file)).editsOf).bytes;
  } finally {
    bytes.close();
  }
}

function sizeOf(path: string, folder: string, location: string): number {
  const fail = (reason: string): ServingError =>
    new ServingError('MODEL_FAILED', `${path}: its external data is in ${JSON.stringify(location)}, ${reason}`);
  if (isAbsolute(location) || normalize(location).split(/[/\\]/)[0] === '..')
    throw fail("which is not in the model's folder: export the model with its data beside it");
  const place = join(folder, location);
  if (location === '' || !existsSync(place)) throw fail(`which is missing: copy it into ${folder}`);
  return statSync(place).size;
}
