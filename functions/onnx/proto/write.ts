import { toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from './onnx_pb.ts';

/**
 * Encodes a model as the bytes of an `.onnx` file. The same model gives the same bytes: fields are in the order of their
 * numbers, lists in their own order, unknown fields last.
 */
export function writeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, model);
}
