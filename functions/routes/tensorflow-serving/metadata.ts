import type { Generation } from '../../model/serving/generation.ts';
import type { DType, TensorSpec } from '../../tensor/tensor.ts';
import { SIGNATURE_NAME } from './body.ts';

/** TensorFlow's names (tensorflow/core/framework/types.proto). */
const DTYPES: Readonly<Record<DType, string>> = {
  float16: 'DT_HALF',
  float32: 'DT_FLOAT',
  float64: 'DT_DOUBLE',
  int8: 'DT_INT8',
  int16: 'DT_INT16',
  int32: 'DT_INT32',
  int64: 'DT_INT64',
  uint8: 'DT_UINT8',
  uint16: 'DT_UINT16',
  uint32: 'DT_UINT32',
  uint64: 'DT_UINT64',
  bool: 'DT_BOOL',
  string: 'DT_STRING',
};

/**
 * A model's signature as a `GetModelMetadataResponse` in JSON (tensorflow_serving/apis/get_model_metadata.proto): an int64 is a
 * text, and a dimension of any length is -1.
 */
export function showMetadata({ name, version, signature }: Pick<Generation, 'name' | 'version' | 'signature'>): object {
  const signatures = {
    [SIGNATURE_NAME]: {
      inputs: showTensors(signature.inputs),
      outputs: showTensors(signature.outputs),
      method_name: 'tensorflow/serving/predict',
      defaults: {},
    },
  };
  return {
    model_spec: { name, signature_name: '', version },
    metadata: { signature_def: { signature_def: signatures } },
  };
}

function showTensors(tensors: readonly TensorSpec[]): object {
  return Object.fromEntries(
    tensors.map(({ name, dtype, shape, anyRank = false }) => [
      name,
      {
        dtype: DTYPES[dtype],
        tensor_shape: { dim: shape.map((size) => ({ size: String(size), name: '' })), unknown_rank: anyRank },
        name,
      },
    ]),
  );
}
