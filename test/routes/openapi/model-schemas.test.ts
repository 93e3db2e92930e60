import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { ALL_ROWS } from '../../../functions/engine/batcher.ts';
import type { Manifest } from '../../../functions/model/folder/manifest.ts';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import type { Answer } from '../../../functions/routes/native/answer.ts';
import { createPredictionEncoder } from '../../../functions/routes/native/prediction-encoder.ts';
import { record } from '../../../functions/routes/openapi/json-schema.ts';
import { anySchemas, modelSchemas } from '../../../functions/routes/openapi/model-schemas.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import {
  DTYPES,
  elementCount,
  type Signature,
  type Tensor,
  type TensorSpec,
} from '../../../functions/tensor/tensor.ts';
import type { Json } from '../../helpers/calls.ts';
import { tensorSpec } from '../../helpers/generation-stub.ts';

interface Parts {
  readonly signature: Signature;
  readonly joinsRows?: boolean;
  readonly manifest?: Manifest;
  readonly labels?: readonly string[] | undefined;
  readonly answer?: Answer | undefined;
}

/** Whether a value is valid by one of the schemas of a model. */
function checkerOf({ signature, joinsRows = true, manifest = {}, labels, answer }: Parts) {
  const schemas = {
    ...modelSchemas({ signature, joinsRows, manifest, labels, answer }),
    Index: { type: 'integer', minimum: 0 },
    ModelVersion: record({ name: { type: 'string' }, version: { type: 'string' } }),
  };
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ components: { schemas } }, 'document');
  return (name: string, value: unknown): boolean =>
    ajv.getSchema(`document#/components/schemas/${name}`)!(value) === true;
}
const MODEL = { name: 'm', version: '1' };
const x = (shape: number[], more: Partial<TensorSpec> = {}): Signature => ({
  inputs: [{ ...tensorSpec('x', 'float32', ...shape), ...more }],
  outputs: [],
});

const CASES: [title: string, parts: Parts, values: Json[]][] = [
  ['a row', { signature: x([-1, 2]) }, [[1, 2], [1], [[1, 2]], 1, { x: [1, 2] }, { x: [1] }, { y: [1, 2] }, {}]],
  ['a column', { signature: x([-1, 1]) }, [1, [1], [1, 2], [[1]], { x: 1 }, { x: [1] }, { x: [[1]] }]],
  ['a scalar of each row', { signature: x([-1]) }, [1, [1], { x: 1 }, { x: [1] }]],
  ['an open dimension', { signature: x([-1, -1, 2]) }, [[], [[1, 2]], [[1]], [1, 2]]],
  [
    'rows that are not joined',
    { signature: x([-1, 2]), joinsRows: false },
    [
      [1, 2],
      [
        [1, 2],
        [3, 4],
      ],
      [1],
      [[1]],
      [],
      1,
    ],
  ],
  [
    'a fixed first dimension',
    { signature: x([2, 2]), joinsRows: false },
    [
      [1, 2],
      [
        [1, 2],
        [3, 4],
      ],
      [[1, 2]],
    ],
  ],
  ['a model of rank 0', { signature: x([]), joinsRows: false }, [1, [[1]], { x: 1 }]],
  ['any rank', { signature: x([], { anyRank: true }), joinsRows: false }, [1, [1], [[1], [2]], { x: [1] }, { y: 1 }]],
  [
    'named features',
    { signature: x([-1, 2]), manifest: { input: { features: ['a', 'b'] } } },
    [[1, 2], { a: 1, b: 2 }, { a: 1 }, { a: 1, b: 2, c: 3 }, { x: [1, 2] }, { a: [1], b: 2 }],
  ],
  [
    'several inputs',
    { signature: { inputs: [tensorSpec('n', 'int8', -1), tensorSpec('t', 'string', -1, 1)], outputs: [] } },
    [
      { n: 1, t: 'a' },
      { n: 1, t: ['a'] },
      { n: 1 },
      { n: 128, t: 'a' },
      { n: 1, t: 1 },
      [1, 'a'],
      { n: 1, t: 'a', u: 1 },
    ],
  ],
];
for (const [title, parts, values] of CASES) {
  test(`the schema of features accepts what a request may have, and nothing else: ${title}`, () => {
    const isValid = checkerOf(parts);
    const { signature, manifest, joinsRows = true } = parts;
    const rows = createRowDecoder(signature, manifest?.input?.features, joinsRows);
    const taken = values.map((value) => {
      try {
        rows.decode(readJson(Buffer.from(JSON.stringify(value))), 'features');
        return true;
      } catch {
        return false;
      }
    });
    assert.deepEqual(
      values.map((value) => isValid('Features', value)),
      taken,
      JSON.stringify(values),
    );
    assert.ok(taken.includes(true) && taken.includes(false));
  });
}

/** Outputs of every form that a model may have: where rows are joined each has an open first dimension. */
const SHAPES: Record<string, { joinsRows: boolean; shapes: (readonly number[] | 'any')[] }> = {
  'rows that are joined': { joinsRows: true, shapes: [[-1], [-1, 2], [-1, -1, 1]] },
  'rows that are not joined': { joinsRows: false, shapes: [[], [-1], [1, 2], [2, 2], [-1, -1, 2], 'any'] },
};
for (const [title, { joinsRows, shapes }] of Object.entries(SHAPES)) {
  test(`a prediction is valid by the schema of predictions: of ${title}`, () => {
    const dtypes = ['float32', 'int64', 'bool', 'string'] as const;
    const outputs = shapes.flatMap((shape, i) =>
      dtypes.map((dtype): TensorSpec => {
        const name = `y${i} ${dtype}`;
        return shape === 'any' ? { ...tensorSpec(name, dtype), anyRank: true } : tensorSpec(name, dtype, ...shape);
      }),
    );
    const signature = { inputs: [], outputs };
    const isValid = checkerOf({ signature, joinsRows });
    const encoder = createPredictionEncoder({ signature, manifest: {}, joinsRows, labelled: [] });
    const lengths = fc.record({
      rows: fc.integer({ min: 1, max: 3 }),
      open: fc.nat(2),
      isRow: fc.boolean(),
      all: fc.boolean(),
    });
    fc.assert(
      fc.property(lengths, ({ rows, open, isRow, all }) => {
        const tensors = outputs.map(({ dtype, shape, anyRank }): Tensor => {
          const dims = anyRank
            ? new Array(open).fill(2)
            : shape.map((dim, i) => (dim !== -1 ? dim : i === 0 ? rows : open));
          return { dtype, dims, data: DTYPES[dtype].make(elementCount(dims)) };
        });
        const text = encoder.encode(tensors, joinsRows ? rows - 1 : all ? ALL_ROWS : 0, joinsRows || isRow);
        const prediction = JSON.parse(`{${text}}`);
        assert.ok(isValid('Prediction', { ...prediction, model: MODEL }), text);
        assert.ok(isValid('BatchPrediction', { index: 0, ...prediction }), text);
        assert.ok(!isValid('Prediction', prediction), 'the model is missing');
      }),
      { numRuns: 30 },
    );
  });
}

test('the main output is that of the manifest, and a label is one of the classes', () => {
  const outputs = [tensorSpec('score', 'float32', -1, 2), tensorSpec('label', 'int64', -1)];
  const isValid = checkerOf({
    signature: { inputs: [], outputs },
    manifest: { output: 'label' },
    labels: ['no', 'yes', 'no'],
  });
  const prediction = { prediction: 1, label: 'yes', outputs: { score: [0.5, 0.5], label: 1 }, model: MODEL };
  const { label: _, ...unlabelled } = prediction;
  for (const good of [prediction, unlabelled]) assert.equal(isValid('Prediction', good), true);
  for (const bad of [
    { ...prediction, prediction: [0.5, 0.5] },
    { ...prediction, label: 'maybe' },
    { ...prediction, outputs: { label: 1 } },
  ]) {
    assert.equal(isValid('Prediction', bad), false, JSON.stringify(bad));
  }
});

/** Manifests by title, each with what makes scores of the output `y`. */
const ANSWERS: Record<string, Manifest> = {
  'one label of several': { classes: ['a', 'b', 'c'], output: { activation: 'softmax', top: 2 } },
  'several labels': { classes: ['a', 'b', 'a'], output: { activation: 'sigmoid', threshold: 0.5 } },
  'no names': { output: { activation: 'softmax' } },
  'raw scores': { classes: ['a', 'b', 'c'], output: { activation: 'none' } },
};
for (const [title, manifest] of Object.entries(ANSWERS)) {
  for (const dtype of ['float16', 'float32', 'float64'] as const) {
    test(`an answer is valid by the schema of predictions: ${title}, from ${dtype}`, () => {
      const shapes = [[-1, 3], [-1, -1], [-1, 1], [-1], 'any'] as const;
      for (const shape of shapes) {
        for (const joinsRows of [true, false]) {
          if (joinsRows && shape === 'any') continue;
          const spec = shape === 'any' ? { anyRank: true as const, shape: [] } : { shape };
          const signature = { inputs: [], outputs: [{ name: 'y', dtype, ...spec }] };
          const { labels, answer, encode } = createPredictionEncoder({ signature, manifest, joinsRows, labelled: [] });
          const isValid = checkerOf({ signature, joinsRows, manifest, labels, answer });
          for (const width of [1, 2, 3]) {
            for (const isRow of joinsRows ? [true] : [true, false]) {
              for (const rows of joinsRows || isRow ? [1] : [1, 2]) {
                const dims =
                  shape === 'any' ? [rows, width] : shape.map((dim, i) => (dim !== -1 ? dim : i === 0 ? rows : width));
                const data = DTYPES[dtype].make(elementCount(dims)).fill(0 as never);
                const text = encode([{ dtype, dims, data } as Tensor], 0, isRow);
                assert.ok(isValid('BatchPrediction', { index: 0, ...JSON.parse(`{${text}}`) }), `${shape}: ${text}`);
              }
            }
          }
        }
      }
    });
  }
}

test('the schema of an answer has the labels, and refuses others', () => {
  const signature = { inputs: [], outputs: [tensorSpec('y', 'float32', -1, 2)] };
  const manifest: Manifest = { classes: ['no', 'yes'], output: { activation: 'softmax' } };
  const { labels, answer } = createPredictionEncoder({ signature, manifest, joinsRows: true, labelled: [] });
  const isValid = checkerOf({ signature, manifest, labels, answer });
  const good = { prediction: 'yes', scores: [{ label: 'yes', score: 0.5 }], outputs: { y: [0, 0] }, model: MODEL };
  for (const one of [good, { ...good, prediction: null, scores: [{ label: 'no', score: 'NaN' }] }]) {
    assert.equal(isValid('Prediction', one), true, JSON.stringify(one));
  }
  for (const bad of [
    { ...good, prediction: 'maybe' },
    { ...good, prediction: [0, 0] },
    { ...good, label: 'yes' },
    { ...good, scores: [{ label: 'yes' }] },
    { ...good, scores: [{ label: 'maybe', score: 1 }] },
  ]) {
    assert.equal(isValid('Prediction', bad), false, JSON.stringify(bad));
  }
});

test('an output of JSON texts may have any JSON in a prediction', () => {
  const outputs = [{ ...tensorSpec('entities', 'string', -1), json: true as const }];
  const isValid = checkerOf({ signature: { inputs: [], outputs } });
  const entities = [{ label: 'PER', start: 0 }];
  assert.ok(isValid('Prediction', { prediction: entities, outputs: { entities }, model: MODEL }));
});

test('an input of JSON texts may be any JSON in a request', () => {
  const inputs = [{ ...tensorSpec('features', 'string', -1), json: true as const }];
  const isValid = checkerOf({ signature: { inputs, outputs: [] } });
  for (const features of [1, 'x', [[1]], { a: { b: null } }, null]) assert.ok(isValid('Features', features));
});

test('an unknown model has the schemas AnyFeatures and AnyPrediction, which accept any values', () => {
  const schemas = anySchemas();
  assert.deepEqual(Object.keys(schemas).sort(), ['AnyBatchPrediction', 'AnyFeatures', 'AnyPrediction']);
  const ajv = new Ajv2020({ strict: false });
  const { AnyFeatures, AnyPrediction } = schemas as Record<string, Json>;
  for (const features of [1, 'x', [[1]], { a: 1 }, null]) assert.ok(ajv.validate(AnyFeatures, features));
  assert.deepEqual(AnyPrediction.required, ['prediction', 'outputs', 'model']);
});
