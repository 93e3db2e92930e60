import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../functions/model/folder/manifest.ts';
import {
  createPredictionEncoder,
  type EncodedGeneration,
} from '../../../functions/routes/native/prediction-encoder.ts';
import type { Signature, Tensor } from '../../../functions/tensor/tensor.ts';
import { column, float32 } from '../../helpers/tensors.ts';

const CLASSES = ['setosa', 'versi"color', 'virginica'];

/** Writes one row of the outputs, which are named `label`, `scores`, and so on in order. */
function write(
  outputs: Tensor[],
  manifest: Manifest,
  { row = 0, isRow = true, joinsRows = true, labelled = [] as EncodedGeneration['labelled'] } = {},
): unknown {
  const names = ['label', 'scores', 'third'];
  const signature: Signature = {
    inputs: [],
    outputs: outputs.map(({ dtype, dims }, i) => ({ name: names[i]!, dtype, shape: dims })),
  };
  const encoder = createPredictionEncoder({ signature, manifest, joinsRows, labelled });
  return JSON.parse(`{${encoder.encode(outputs, row, isRow)}}`);
}

const labels: Tensor = { dtype: 'int64', dims: [3], data: BigInt64Array.of(0n, 2n, 1n) };
const scores = float32([3, 3], [1, 0, 0, 0.25, 0.25, 0.5, 0, 1, 0]);

test('a row has its own values of every output; the prediction is that of the first', () => {
  assert.deepEqual(write([labels, scores], {}, { row: 1 }), {
    prediction: 2,
    outputs: { label: 2, scores: [0.25, 0.25, 0.5] },
  });
});

test('the manifest chooses the output that is the prediction', () => {
  assert.deepEqual(write([labels, scores], { output: 'scores' }, { row: 2 }), {
    prediction: [0, 1, 0],
    outputs: { label: 1, scores: [0, 1, 0] },
  });
});

const LABELS: [title: string, outputs: Tensor[], row: number, label: string | undefined][] = [
  ['a class index', [labels], 1, 'virginica'],
  ['a class index in a column', [column(0, 1, 2)], 1, 'versi"color'],
  ['the highest of a score for each class', [scores], 1, 'virginica'],
  ['the first of equal scores', [float32([1, 3], [0.4, 0.4, 0.2])], 0, 'setosa'],
  ['negative scores', [float32([1, 3], [-3, -1, -2])], 0, 'versi"color'],
  ['an index beyond the classes', [column(7)], 0, undefined],
  ['a negative index', [column(-1)], 0, undefined],
  ['a number between two classes', [column(0.5)], 0, undefined],
  ['another number of scores than classes', [float32([1, 2], [0, 1])], 0, undefined],
  [
    'integers, which are no scores',
    [{ dtype: 'int64', dims: [1, 3], data: BigInt64Array.of(0n, 1n, 0n) }],
    0,
    undefined,
  ],
  ['a string, which is a label already', [{ dtype: 'string', dims: [1], data: ['setosa'] }], 0, undefined],
];

for (const [title, outputs, row, label] of LABELS) {
  test(`the label of ${title} is ${label ?? 'left out'}`, () => {
    const written = write(outputs, { classes: CLASSES }, { row }) as { label?: string };
    assert.equal(written.label, label);
    assert.equal('label' in written, label !== undefined);
  });
}

test('a model that names no classes gives no label', () => {
  assert.deepEqual(Object.keys(write([labels], {}) as object), ['prediction', 'outputs']);
});

const texts = (...data: string[]): Tensor => ({ dtype: 'string', dims: [data.length], data });
const ints = (...data: bigint[]): Tensor => ({ dtype: 'int64', dims: [data.length], data: BigInt64Array.from(data) });
const two = float32([2, 2], [0.9, 0.1, 0.2, 0.8]);

/** Models whose output `scores` has labels of its own. */
const OWN: [title: string, labels: string[], outputs: Tensor[], manifest: Manifest, label: string | undefined][] = [
  ['an integer that is a label', ['3', '7'], [ints(3n, 7n), two], {}, '7'],
  ['a negative one', ['-1', '1'], [ints(1n, -1n), two], {}, '-1'],
  [
    'one beyond what a float holds',
    ['9007199254740993', '0'],
    [ints(0n, 9007199254740993n), two],
    {},
    '9007199254740993',
  ],
  ['an integer that is only an index of a label', ['3', '7'], [ints(3n, 1n), two], {}, undefined],
  ['a text that is a label', ['setosa', 'virgi"nica'], [texts('setosa', 'virgi"nica'), two], {}, 'virgi"nica'],
  ['a text that is none', ['setosa', 'virginica'], [texts('setosa', ''), two], {}, undefined],
  ['the scores', ['3', '7'], [ints(7n, 3n), two], { output: 'scores' }, '7'],
  ['the score of an only class', ['3'], [ints(3n, 3n), column(0.5, 0)], { output: 'scores' }, '3'],
  ['other floats than the scores', ['3', '7'], [two, two], {}, undefined],
  ['several labels in a row', ['3', '7'], [{ ...ints(3n, 7n, 7n, 3n), dims: [2, 2] }, two], {}, undefined],
  ['an index, where the manifest names the classes', ['3', '7'], [ints(0n, 1n), two], { classes: ['a', 'b'] }, 'b'],
  [
    'the scores, where the manifest names the classes',
    ['3', '7'],
    [ints(7n, 3n), two],
    { classes: ['a', 'b'], output: 'scores' },
    'b',
  ],
];
for (const [title, labels, outputs, manifest, label] of OWN) {
  test(`with labels of the model's own, the label of ${title} is ${label ?? 'left out'}`, () => {
    const written = write(outputs, manifest, { row: 1, labelled: [{ output: 'scores', labels }] }) as {
      label?: string;
    };
    assert.equal(written.label, label);
    assert.equal('label' in written, label !== undefined);
  });
}

test('of several outputs with labels each has its own, and no other output has any of them', () => {
  const labelled = [
    { output: 'scores', labels: ['3', '7'] },
    { output: 'third', labels: ['no', 'yes'] },
  ];
  const labelOf = (output: string): unknown =>
    (write([ints(7n, 7n), two, two], { output }, { row: 1, labelled }) as { label?: string }).label;
  assert.deepEqual(['label', 'scores', 'third'].map(labelOf), [undefined, '7', 'yes']);
});

test('a row of a model that is not joined loses the leading 1 of each output that has one', () => {
  const outputs = [float32([1, 2], [1, 2]), float32([2, 2], [1, 2, 3, 4]), float32([], [5])];
  assert.deepEqual(write(outputs, {}, { joinsRows: false }), {
    prediction: [1, 2],
    outputs: {
      label: [1, 2],
      scores: [
        [1, 2],
        [3, 4],
      ],
      third: 5,
    },
  });
});

test('an entire tensor gets entire outputs, and no label of one of its rows', () => {
  const whole = { isRow: false, joinsRows: false };
  assert.deepEqual(write([float32([2, 2], [1, 2, 3, 4])], {}, whole), {
    prediction: [
      [1, 2],
      [3, 4],
    ],
    outputs: {
      label: [
        [1, 2],
        [3, 4],
      ],
    },
  });
  const several = write([labels, scores], { classes: CLASSES }, whole) as object;
  assert.deepEqual(Object.keys(several), ['prediction', 'outputs']);
});

test('scores without a batch dimension are scores, too', () => {
  const written = write([float32([3], [0.1, 0.2, 0.7])], { classes: CLASSES }, { isRow: false, joinsRows: false });
  assert.equal((written as { label: string }).label, 'virginica');
});

test('numbers keep their digits and what JSON has no numbers for its form', () => {
  const big: Tensor = { dtype: 'int64', dims: [1], data: BigInt64Array.of(9007199254740993n) };
  const signature: Signature = { inputs: [], outputs: [{ name: 'y', dtype: 'int64', shape: [-1] }] };
  assert.equal(
    createPredictionEncoder({ signature, manifest: {}, joinsRows: true, labelled: [] }).encode([big], 0, true),
    '"prediction":9007199254740993,"outputs":{"y":9007199254740993}',
  );
  assert.deepEqual(write([float32([1, 2], [Number.NaN, 0.1])], {}), {
    prediction: ['NaN', 0.1],
    outputs: { label: ['NaN', 0.1] },
  });
});
