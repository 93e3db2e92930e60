import { fromBinary } from '@bufbuild/protobuf';
import { ServingError } from '../errors.ts';
import { type ModelProto, ModelProtoSchema } from './onnx_pb.ts';

/**
 * Decodes a model file. Weights stay views of `bytes`, so `bytes` must not change afterwards; fields outside the
 * subset of onnx.proto are kept and written back.
 *
 * @param bytes the whole file
 * @param place names the file in errors: a path or URI
 * @throws ServingError `MODEL_FAILED` where the file is empty, cut short, or no ONNX model
 */
export function readModel(bytes: Uint8Array, place: string): ModelProto {
  if (bytes.length === 0) throw refusal(place, 'the file is empty');
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw refusal(place, guess(bytes), cause);
  }
  // Most byte strings fail to decode; a few short ones do decode, as a message of unknown fields.
  if (model.graph === undefined) {
    throw refusal(place, 'it has no graph: it is cut short, or some other protobuf message');
  }
  // Fields the specification (IR.md, "Models") says must be there; writers put them after the graph as well as before.
  if (model.irVersion <= 0n) throw refusal(place, 'it has no ir_version: it is cut short or damaged');
  if (model.irVersion >= 3n && model.opsetImport.length === 0) {
    throw refusal(place, 'it has no opset_import: it is cut short or damaged');
  }
  return model;
}

function refusal(place: string, reason: string, cause?: unknown): ServingError {
  return new ServingError('MODEL_FAILED', `${place}: expected an ONNX model, but ${reason}`, { cause });
}

function guess(bytes: Uint8Array): string {
  const start = new TextDecoder().decode(bytes.subarray(0, 64));
  if (start.startsWith('version https://git-lfs'))
    return 'found a Git LFS pointer: fetch the file itself (git lfs pull)';
  if (/^\s*[<{]/.test(start)) return `found text: ${JSON.stringify(start.trim().slice(0, 32))}`;
  return `its ${bytes.length} bytes can not be decoded: it is cut short, or some other kind of file`;
}
