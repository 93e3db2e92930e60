import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showMetadata } from '../../../functions/routes/tensorflow-serving/metadata.ts';

test('the signature is shown as TensorFlow Serving shows that of half_plus_two', () => {
  const dim = [
    { size: '-1', name: '' },
    { size: '1', name: '' },
  ];
  const shown = showMetadata({
    name: 'half',
    version: '123',
    signature: {
      inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 1] }],
      outputs: [
        { name: 'y', dtype: 'string', shape: [-1, 1] },
        { name: 'n', dtype: 'int64', shape: [] },
        { name: 'o', dtype: 'int64', shape: [], anyRank: true },
      ],
    },
  });
  // tensorflow_serving/servables/tensorflow/testdata/saved_model_half_plus_two_2_versions_metadata.json
  assert.deepEqual(shown, {
    model_spec: { name: 'half', signature_name: '', version: '123' },
    metadata: {
      signature_def: {
        signature_def: {
          serving_default: {
            inputs: { x: { dtype: 'DT_FLOAT', tensor_shape: { dim, unknown_rank: false }, name: 'x' } },
            outputs: {
              y: { dtype: 'DT_STRING', tensor_shape: { dim, unknown_rank: false }, name: 'y' },
              n: { dtype: 'DT_INT64', tensor_shape: { dim: [], unknown_rank: false }, name: 'n' },
              o: { dtype: 'DT_INT64', tensor_shape: { dim: [], unknown_rank: true }, name: 'o' },
            },
            method_name: 'tensorflow/serving/predict',
            defaults: {},
          },
        },
      },
    },
  });
});
