import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../functions/model/folder/manifest.ts';
import { checkManifest } from '../../../functions/model/serving/manifest-check.ts';
import type { DType, Signature, TensorSpec } from '../../../functions/tensor/tensor.ts';

const spec = (name: string, shape: number[], dtype: DType = 'float32'): TensorSpec => ({ name, dtype, shape });
const signature = (outputs: TensorSpec[], inputs = [spec('x', [-1, 4])]): Signature => ({ inputs, outputs });

const PLAIN = signature([spec('label', [-1], 'int64'), spec('scores', [-1, 3])]);
const ABC = ['a', 'b', 'c'];

const FITS: [title: string, manifest: Manifest, model: Signature][] = [
  ['an empty manifest', {}, PLAIN],
  ['classes for an index', { classes: ['a'] }, PLAIN],
  ['a class for each score', { classes: ABC, output: 'scores' }, PLAIN],
  ['classes for scores whose number is not known', { classes: ABC }, signature([spec('y', [-1, -1])])],
  ['classes for an index in a column of floats', { classes: ABC }, signature([spec('y', [-1, 1])])],
  ['classes for a float', { classes: ABC }, signature([spec('y', [])])],
  ['classes for scores without a batch', { classes: ABC }, signature([spec('y', [3])])],
  ['classes for integers', { classes: ABC }, signature([spec('y', [-1, 2], 'int64')])],
  ['classes for a map of scores, in another dimension', { classes: ABC }, signature([spec('y', [-1, 3, 64, 64])])],
  ['feature names for as many values', { input: { features: ['a', 'b', 'c', 'd'] } }, PLAIN],
  [
    'feature names for any number of values',
    { input: { features: ABC } },
    signature([spec('y', [-1])], [spec('x', [-1, -1])]),
  ],
  [
    'feature names for an open rank',
    { input: { features: ABC } },
    signature([spec('y', [-1])], [{ ...spec('x', []), anyRank: true }]),
  ],
  ['batching of free rows', { batching: true }, PLAIN],
  ['softmax of scores', { output: 'scores', activation: 'softmax' }, PLAIN],
  [
    'scores of labels',
    { output: { name: 'scores', activation: 'softmax', top: 3, threshold: 1 }, classes: ABC },
    PLAIN,
  ],
  ['scores without names', { output: { name: 'scores', activation: 'softmax' } }, PLAIN],
  ['an object with a name of labels', { output: { name: 'label' } }, PLAIN],
  ['sigmoid of one score', { output: { activation: 'sigmoid' } }, signature([spec('y', [-1, 1])])],
  [
    'softmax with `top` in the output',
    { output: { name: 'scores', top: 1 }, activation: 'softmax', classes: ABC },
    PLAIN,
  ],
  [
    'labels of scores with any rank',
    { output: { top: 3 }, classes: ABC },
    signature([{ ...spec('y', []), anyRank: true }]),
  ],
  ['categories of a feature', { input: { features: ['a', 'b', 'c', 'd'], categories: { b: [0, 1] } } }, PLAIN],
  [
    'categories of an input',
    { input: { categories: { city: ['Oslo', 'Rome'] } } },
    signature([spec('y', [-1])], [spec('age', [-1, 1]), spec('city', [-1, 1], 'string')]),
  ],
];
for (const [title, manifest, model] of FITS) test(`${title}: fits`, () => checkManifest(manifest, model));

const MISFITS: [title: string, manifest: Manifest, model: Signature, message: string][] = [
  [
    'fewer classes than scores',
    { classes: ['a', 'b'], output: 'scores' },
    PLAIN,
    'classes names 2 classes, but the output scores has 3 scores: name one for each',
  ],
  [
    'more classes than float16 scores without a batch',
    { classes: ABC },
    signature([spec('y', [2], 'float16')]),
    'classes names 3 classes, but the output y has 2 scores: name one for each',
  ],
  [
    'softmax of labels',
    { activation: 'softmax' },
    PLAIN,
    'activation is for scores of floats, but the output label is int64: leave it out',
  ],
  [
    'categories of something else',
    { input: { categories: { colour: ['red'] } } },
    PLAIN,
    'input.categories: the model has no feature and no input colour',
  ],
  [
    'a text for a number',
    { input: { categories: { x: [1, 'red'] } } },
    PLAIN,
    'input.categories: x is float32: a number is needed, not "red"',
  ],
  [
    'a fraction for an integer',
    { input: { categories: { x: [1, 1.5] } } },
    signature([spec('y', [-1])], [spec('x', [-1, 1], 'int64')]),
    'input.categories.x[1]: expected an integer from -9223372036854775808 to 9223372036854775807 (int64), got 1.5',
  ],
  [
    'a number beyond its type',
    { input: { categories: { x: [255, 256] } } },
    signature([spec('y', [-1])], [spec('x', [-1, 1], 'uint8')]),
    'input.categories.x[1]: expected an integer from 0 to 255 (uint8), got 256',
  ],
  [
    'an integer beyond int64',
    { input: { categories: { x: [9_223_372_036_854_775_808n] } } },
    signature([spec('y', [-1])], [spec('x', [-1, 1], 'int64')]),
    'input.categories.x[0]: expected an integer from -9223372036854775808 to 9223372036854775807 (int64), got 9223372036854775808',
  ],
  [
    'categories of a boolean',
    { input: { categories: { x: [0, 1] } } },
    signature([spec('y', [-1])], [spec('x', [-1, 1], 'bool')]),
    'input.categories: x is bool: leave it out',
  ],
  [
    'two activations',
    { output: { name: 'scores', activation: 'sigmoid' }, activation: 'softmax' },
    PLAIN,
    'activation is there beside output.activation: leave the former out',
  ],
  [
    'scores of integers',
    { output: { top: 2 }, classes: ABC },
    PLAIN,
    'output.top is for scores of floats, but the output label is int64: leave it out',
  ],
  [
    'scores of a map',
    { output: { threshold: 0.5 } },
    signature([spec('y', [-1, 3, 8, 8])]),
    'output.threshold is for one row of scores, but the output y has shape [-1, 3, 8, 8]: leave it out',
  ],
  [
    'softmax of one score',
    { output: { activation: 'softmax' } },
    signature([spec('y', [-1, 1])]),
    'output.activation: the output y has one score, whose softmax is always 1: "sigmoid" may be meant',
  ],
  [
    'a threshold of one score',
    { output: { activation: 'sigmoid', threshold: 0.5 }, classes: ['no', 'yes'] },
    signature([spec('y', [-1])]),
    'output.threshold chooses among labels, but the output y has one score: leave it out',
  ],
  [
    'more labels at most than there are',
    { output: { name: 'scores', top: 4 }, classes: ABC },
    PLAIN,
    'output.top is 4, and the model has 3 labels: lower it or leave it out',
  ],
  [
    'a missing output in an object',
    { output: { name: 'z' } },
    PLAIN,
    'output: the model has no output z; it has label, scores',
  ],
  ['a missing output', { output: 'z' }, PLAIN, 'output: the model has no output z; it has label, scores'],
  [
    'feature names for another number of values',
    { input: { features: ABC } },
    PLAIN,
    'input.features names 3 values, but a row has 4 values',
  ],
  [
    'feature names for two inputs',
    { input: { features: ABC } },
    signature([spec('y', [-1])], [spec('a', [-1, 3]), spec('b', [-1, 3])]),
    'input.features names 3 values, but the model has 2 inputs',
  ],
  [
    'several feature names for a scalar',
    { input: { features: ABC } },
    signature([spec('y', [])], [spec('x', [])]),
    'input.features names 3 values, but a row has 1 values',
  ],
  [
    'batching with an open rank',
    { batching: true },
    signature([spec('y', [])], [{ ...spec('x', []), anyRank: true }]),
    '"batching": true needs a free first dimension (-1) in every input, but x has no fixed rank; leave it out',
  ],
  [
    'batching of fixed rows',
    { batching: true },
    signature([spec('y', [1])], [spec('a', [-1, 3]), spec('b', [1, 4])]),
    '"batching": true needs a free first dimension (-1) in every input, but b has shape [1, 4]; leave it out',
  ],
];
for (const [title, manifest, model, message] of MISFITS) {
  test(`${title}: refused with the values of the manifest and of the model`, () => {
    assert.throws(() => checkManifest(manifest, model), { code: 'MODEL_FAILED', message: `model.json: ${message}` });
  });
}

test('labels to choose among are those of the manifest or of the model, and a model without any is refused', () => {
  const manifest: Manifest = { output: { name: 'scores', top: 2 } };
  checkManifest(manifest, PLAIN);
  checkManifest(manifest, PLAIN, [{ output: 'scores', labels: ABC }]);
  const lower = { code: 'MODEL_FAILED', message: /^model\.json: output\.top is 2, and the model has 1 labels/ };
  assert.throws(() => checkManifest(manifest, PLAIN, [{ output: 'scores', labels: ['a'] }]), lower);
  const message = 'model.json: output.top chooses among labels, and the model has none: name them in classes';
  assert.throws(() => checkManifest(manifest, PLAIN, []), { code: 'MODEL_FAILED', message });
});
