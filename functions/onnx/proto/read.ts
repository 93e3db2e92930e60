import { fromBinary } from '@bufbuild/protobuf';
import { checkEssentials, checkSize, guess, invalidModelError } from '../invalid-model.ts';
import { type ModelProto, ModelProtoSchema } from './onnx_pb.ts';

/**
 * Decodes a model file. Weights stay views of `bytes`, so `bytes` must not change afterwards; fields outside the
 * subset of onnx.proto are kept and written back.
 *
 * @param bytes the complete file
 * @param place names the file in errors: a path or URI
 * @throws ServingError `MODEL_FAILED` if the file is empty, incomplete, or not an ONNX model
 */
export function readModel(bytes: Uint8Array, place: string): ModelProto {
  checkSize(bytes.length, place);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw invalidModelError(place, guess(bytes, bytes.length), cause);
  }
  const { graph, irVersion, opsetImport } = model;
  checkEssentials({ hasGraph: graph !== undefined, irVersion, opsets: opsetImport.length }, bytes.length, place);
  return model;
}
