import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_ROWS } from '../../../functions/engine/batcher.ts';
import type { Preparation } from '../../../functions/engine/prepared/preparation.ts';
import type { Manifest } from '../../../functions/model/folder/manifest.ts';
import { scoresOf } from '../../../functions/routes/native/answer.ts';
import { createPredictionEncoder } from '../../../functions/routes/native/prediction-encoder.ts';
import type { Tensor, TensorSpec } from '../../../functions/tensor/tensor.ts';
import { readTextSettings } from '../../../functions/text/settings.ts';
import { column, float32 } from '../../helpers/tensors.ts';
import { expectedOf, readText } from '../../text/refs.ts';

const ABC = ['a', 'b "c"', 'd'];
const LN3 = Math.log(3);

interface Options {
  readonly manifest?: Manifest;
  readonly preparation?: Preparation;
  readonly row?: number;
  readonly isRow?: boolean;
  readonly joinsRows?: boolean;
  readonly shape?: readonly number[];
  readonly labels?: readonly string[];
  readonly json?: true;
}

/** The encoder of a model with this one output, `y`. */
function encoderOf({ dtype, dims }: Tensor, options: Options) {
  const { manifest = {}, preparation, joinsRows = true, shape = [-1, ...dims.slice(1)], labels, json } = options;
  const spec: TensorSpec = { name: 'y', dtype, shape, ...(json && { json }) };
  const labelled = labels === undefined ? [] : [{ output: 'y', labels }];
  return createPredictionEncoder({
    signature: { inputs: [], outputs: [spec] },
    manifest,
    preparation,
    joinsRows,
    labelled,
  });
}

/** The members of a row's response, without `outputs`. */
function answer(main: Tensor, options: Options): unknown {
  const { row = 0, isRow = true } = options;
  const { outputs, ...members } = JSON.parse(`{${encoderOf(main, options).encode([main], row, isRow)}}`);
  assert.ok('y' in outputs);
  return members;
}

const scored = (...pairs: [label: string, score: number | string][]) =>
  pairs.map(([label, score]) => ({ label, score }));

/** e, e² and e³ by their sum. */
const LOGITS = float32([2, 3], [0, 0, 0, 1, 2, 3]);

test('softmax of 1, 2 and 3: the prediction is the label with the highest score, and the scores are the shares of their powers', () => {
  assert.deepEqual(answer(LOGITS, { row: 1, manifest: { classes: ABC, output: { activation: 'softmax' } } }), {
    prediction: 'd',
    scores: scored(['d', 0.66524094], ['b "c"', 0.24472848], ['a', 0.09003057]),
  });
});

test('the raw outputs stay beside the answer', () => {
  const manifest: Manifest = { classes: ABC, output: { activation: 'softmax', top: 1 } };
  assert.equal(
    encoderOf(LOGITS, { manifest }).encode([LOGITS], 1, true),
    '"prediction":"d","scores":[{"label":"d","score":0.66524094}],"outputs":{"y":[1,2,3]}',
  );
});

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `c${i}`);
const NAN = Number.NaN;
const { NEGATIVE_INFINITY: LEAST } = Number;

const ANSWERS: [title: string, scores: number[], manifest: Manifest, members: object][] = [
  [
    'has five labels if it is not said how many',
    [1, 2, 3, 4, 5, 6, 7],
    { classes: many(7), output: { activation: 'none' } },
    { prediction: 'c6', scores: scored(['c6', 7], ['c5', 6], ['c4', 5], ['c3', 4], ['c2', 3]) },
  ],
  [
    'has at most `top` labels',
    [1, 2, 3],
    { classes: ABC, output: { top: 2 } },
    { prediction: 'd', scores: scored(['d', 3], ['b "c"', 2]) },
  ],
  [
    'has labels at or above the threshold alone, and the highest as the prediction',
    [0.5, 0.25, 0.25],
    { classes: ABC, output: { threshold: 0.5 } },
    { prediction: 'a', scores: scored(['a', 0.5]) },
  ],
  [
    'has no scores if none reaches the threshold, and still the label with the highest',
    [0.5, 0.25, 0.25],
    { classes: ABC, output: { threshold: 0.75 } },
    { prediction: 'a', scores: [] },
  ],
  [
    'compares a score with the threshold as it is written: the float32 of 0.7 is below 0.7',
    [0.7, 0.2, 0.1],
    { classes: ABC, output: { threshold: 0.7 } },
    { prediction: 'a', scores: scored(['a', 0.7]) },
  ],
  [
    'has equal scores in the order of the classes',
    [0, LN3, LN3],
    { classes: ABC, output: { activation: 'none', top: 2 } },
    { prediction: 'b "c"', scores: scored(['b "c"', 1.0986123], ['d', 1.0986123]) },
  ],
  [
    'of several labels has every one from 0.5 on as the prediction',
    [0, -LN3, LN3],
    { classes: ABC, output: { activation: 'sigmoid' } },
    { prediction: ['d', 'a'], scores: scored(['d', 0.75], ['a', 0.5], ['b "c"', 0.25]) },
  ],
  [
    'of several labels has no label as the prediction if none holds',
    [-LN3, -LN3, -LN3],
    { classes: ABC, output: { activation: 'sigmoid', top: 1 } },
    { prediction: [], scores: scored(['a', 0.25]) },
  ],
  [
    'of several labels has the labels from the threshold on in both members',
    [0, -LN3, LN3],
    { classes: ABC, output: { activation: 'sigmoid', threshold: 0.6 } },
    { prediction: ['d'], scores: scored(['d', 0.75]) },
  ],
  [
    'of several labels has the scores of all that hold, more than five too',
    [0, 0, 0, 0, 0, 0, LN3, -1000],
    { classes: many(8), output: { activation: 'sigmoid' } },
    {
      prediction: ['c6', 'c0', 'c1', 'c2', 'c3', 'c4', 'c5'],
      scores: scored(['c6', 0.75], ['c0', 0.5], ['c1', 0.5], ['c2', 0.5], ['c3', 0.5], ['c4', 0.5], ['c5', 0.5]),
    },
  ],
  [
    'of several labels keeps each that holds in the prediction when `top` shortens the scores',
    [LN3, 0, 0],
    { classes: ABC, output: { activation: 'sigmoid', top: 1 } },
    { prediction: ['a', 'b "c"', 'd'], scores: scored(['a', 0.75]) },
  ],
  [
    'has NaN last',
    [NAN, 1, LEAST],
    { classes: ABC, output: { activation: 'none' } },
    { prediction: 'b "c"', scores: scored(['b "c"', 1], ['d', '-Infinity'], ['a', 'NaN']) },
  ],
  [
    'is null if no score is a number',
    [NAN, 1, 2],
    { classes: ABC, output: { activation: 'softmax', top: 1 } },
    { prediction: null, scores: scored(['a', 'NaN']) },
  ],
  [
    'of several labels has none of NaN',
    [NAN, LN3, NAN],
    { classes: ABC, output: { activation: 'sigmoid', threshold: 0 } },
    { prediction: ['b "c"'], scores: scored(['b "c"', 0.75]) },
  ],
  [
    'without names of the classes is the scores in their order',
    [0, 0, Math.log(2)],
    { output: { activation: 'softmax' } },
    { prediction: [0.25, 0.25, 0.5] },
  ],
  ['of one score is that score', [LN3], { output: { activation: 'sigmoid' } }, { prediction: 0.75 }],
  [
    'of one score with one name is that score too',
    [LN3],
    { classes: ['relevance'], output: { activation: 'sigmoid' } },
    { prediction: 0.75 },
  ],
  [
    'takes the activation beside `output` if `output` has none',
    [0, 0, Math.log(2)],
    { classes: ABC, activation: 'softmax', output: { top: 1 } },
    { prediction: 'd', scores: scored(['d', 0.5]) },
  ],
];
for (const [title, scores, manifest, members] of ANSWERS) {
  test(`an answer ${title}`, () =>
    assert.deepEqual(answer(float32([1, scores.length], scores), { manifest }), members));
}

const OWN: [title: string, main: Tensor, options: Options, members: object][] = [
  [
    'has only the softmax for the page',
    float32([1, 3], [1, 2, 3]),
    { manifest: { classes: ABC, activation: 'softmax' } },
    { prediction: [1, 2, 3], label: 'd' },
  ],
  [
    'has the name of an output as an object',
    float32([1, 3], [1, 2, 3]),
    { manifest: { classes: ABC, output: { name: 'y' } } },
    { prediction: [1, 2, 3], label: 'd' },
  ],
  [
    'gives another number of scores than there are labels',
    float32([1, 2], [1, 2]),
    { manifest: { classes: ABC, output: { activation: 'softmax' } }, shape: [-1, -1] },
    { prediction: [1, 2] },
  ],
  [
    'gets an entire tensor',
    float32([2, 3], [1, 2, 3, 4, 5, 6]),
    {
      manifest: { classes: ABC, output: { activation: 'softmax' } },
      joinsRows: false,
      isRow: false,
    },
    {
      prediction: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    },
  ],
  [
    'gets an entire tensor, without names of the classes',
    float32([2, 3], [1, 2, 3, 4, 5, 6]),
    { manifest: { output: { activation: 'softmax' } }, joinsRows: false, isRow: false },
    {
      prediction: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    },
  ],
  [
    'has integers',
    { dtype: 'int8', dims: [1, 3], data: Int8Array.of(1, 2, 3) },
    { manifest: { classes: ABC, output: { activation: 'softmax' } } },
    { prediction: [1, 2, 3] },
  ],
];
for (const [title, main, options, members] of OWN) {
  test(`a model that ${title} has its own values in its responses`, () => {
    assert.deepEqual(answer(main, options), members);
  });
}

test("a row's label may be one of those that the model itself names", () => {
  const options: Options = { labels: ['3', '7', '9'], manifest: { output: { top: 1 } } };
  assert.deepEqual(answer(LOGITS, { ...options, row: 1 }), { prediction: '9', scores: scored(['9', 3]) });
});

test('scores of a float64 keep its digits, and those of a float16 are float32 after an activation', () => {
  const exact: Tensor = { dtype: 'float64', dims: [1, 2], data: Float64Array.of(0.1, 0.2) };
  const half: Tensor = {
    dtype: 'float16',
    dims: [1, 2],
    data: new Uint16Array(Float16Array.of(0.1, LN3 + 0.1).buffer),
  };
  const classes = ['a', 'b'];
  assert.deepEqual(answer(exact, { manifest: { classes, output: { activation: 'softmax', top: 1 } } }), {
    prediction: 'b',
    scores: scored(['b', 1 / (1 + Math.exp(-0.1))]),
  });
  assert.deepEqual(answer(half, { manifest: { classes, output: { threshold: 0 } } }), {
    prediction: 'b',
    scores: scored(['b', 1.198], ['a', 0.1]),
  });
  const { scores } = answer(half, { manifest: { classes, output: { activation: 'softmax' } } }) as {
    scores: { score: number }[];
  };
  assert.ok(Math.abs(scores[0]!.score - 0.75) < 1e-3);
});

test('scores without a first dimension for the rows have an answer', () => {
  const manifest: Manifest = { classes: ABC, output: { top: 1 } };
  assert.deepEqual(
    answer(float32([3], [1, 3, 2]), { manifest, shape: [3], joinsRows: false, isRow: false, row: ALL_ROWS }),
    { prediction: 'b "c"', scores: scored(['b "c"', 3]) },
  );
  assert.deepEqual(answer(column(1, 3), { manifest: { output: { activation: 'none' } }, row: 1 }), { prediction: 3 });
});

test('strings that are JSON become a part of a response, by row and all of them', () => {
  const entities: Tensor = { dtype: 'string', dims: [2], data: ['[{"label":"PER","start":0}]', '[]'] };
  const options: Options = { json: true };
  assert.deepEqual(answer(entities, options), { prediction: [{ label: 'PER', start: 0 }] });
  assert.deepEqual(answer(entities, { ...options, joinsRows: false, isRow: false }), {
    prediction: [[{ label: 'PER', start: 0 }], []],
  });
  assert.deepEqual(answer(entities, {}), { prediction: '[{"label":"PER","start":0}]' });
  const nested: Tensor = { dtype: 'string', dims: [2, 2], data: ['1', '2', '{"é":1}', 'null'] };
  assert.deepEqual(answer(nested, { ...options, row: 1 }), { prediction: [{ é: 1 }, null] });
});

/** The preparation of a reference export, and the manifest with its labels. */
function exported(model: string, config = 'config.json'): { preparation: Preparation; manifest: Manifest } {
  const settings = readTextSettings(new Map([['config.json', readText(`models/${model}/${config}`)]]));
  const classes = settings.labels && [...settings.labels.value];
  return {
    preparation: { kind: 'text', settings, tokenizer: '', place: '', specialNames: 'text' },
    manifest: classes === undefined ? {} : { classes },
  };
}

function assertClose(got: number, expected: number, place: string): void {
  assert.ok(Math.abs(got - expected) <= 1e-4, `${place}: ${got}, and torch gives ${expected}`);
}

test('the scores of a text classifier are those of the reference, by its export alone', () => {
  const options = exported('text-classifier');
  for (const { id, logits, softmax } of expectedOf('text-classifier').cases) {
    const { prediction, scores } = answer(float32([1, 3], logits!), options) as {
      prediction: string;
      scores: { label: string; score: number }[];
    };
    const names = options.manifest.classes!;
    const order = [...names.keys()].sort((a, b) => softmax![b]! - softmax![a]!);
    assert.equal(prediction, names[order[0]!], id);
    assert.deepEqual(
      scores.map(({ label }) => label),
      order.map((index) => names[index]),
      id,
    );
    for (const [rank, index] of order.entries()) assertClose(scores[rank]!.score, softmax![index]!, id);
  }
});

test('the labels of a text with several of them are those of the reference, by its export alone', () => {
  const options = exported('text-classifier', 'config.multi_label.json');
  for (const { id, logits, sigmoid, labels_over_half: over } of expectedOf('text-classifier').cases) {
    const { prediction, scores } = answer(float32([1, 3], logits!), options) as {
      prediction: string[];
      scores: { label: string; score: number }[];
    };
    assert.deepEqual([...prediction].sort(), [...over!].sort(), id);
    assert.equal(scores.length, 3);
    for (const { label, score } of scores) {
      assertClose(score, (sigmoid as number[])[options.manifest.classes!.indexOf(label)]!, id);
    }
  }
});

test('the prediction of a pair is its score, by the export alone', () => {
  const options = exported('reranker');
  for (const { id, logit, sigmoid } of expectedOf('reranker').cases) {
    const { prediction } = answer(column(logit!), options) as { prediction: number };
    assertClose(prediction, sigmoid as number, id);
  }
});

test('embeddings have no scores', () => {
  const options = exported('text-embedding-bert');
  assert.deepEqual(answer(float32([1, 3], [1, 2, 3]), options), { prediction: [1, 2, 3] });
});

const picture: Preparation = { kind: 'picture', settings: { sources: {} } as never };

test('the top five of a picture are those of the reference, by its export alone', () => {
  for (const model of ['image-classifier-resnet', 'image-classifier-vit']) {
    const { settings, cases } = JSON.parse(readText(`expected/${model}.json`));
    const complete = cases.filter(({ pil }: { pil?: { logits?: unknown } }) => pil?.logits !== undefined);
    assert.ok(complete.length > 10);
    for (const { file, pil } of complete) {
      const { prediction, scores } = answer(float32([1, 10], pil.logits), {
        preparation: picture,
        manifest: { classes: settings.labels },
      }) as { prediction: string; scores: { label: string; score: number }[] };
      assert.equal(prediction, pil.top5[0].label, file);
      assert.equal(scores.length, 5);
      for (const [rank, { label, score }] of pil.top5.entries()) {
        assert.equal(scores[rank]!.label, label, file);
        assertClose(scores[rank]!.score, score, file);
      }
    }
  }
});

test('a model of pictures without labels has its own values', () => {
  assert.deepEqual(answer(LOGITS, { preparation: picture }), { prediction: [0, 0, 0] });
});

test("the manifest's activation, top and threshold are before those of an export", () => {
  const { preparation } = exported('text-classifier');
  const manifest: Manifest = { classes: ABC, output: { activation: 'none', top: 1 } };
  assert.deepEqual(answer(LOGITS, { preparation, manifest, row: 1 }), { prediction: 'd', scores: scored(['d', 3]) });
});

test('a dialect gets the scores of all labels, or the raw values of the model', () => {
  const manifest: Manifest = { classes: ABC, output: { activation: 'softmax', top: 1 } };
  const { answer: options } = encoderOf(LOGITS, { manifest });
  const scores = scoresOf([LOGITS], 1, options!);
  assert.deepEqual(scores, Float32Array.of(0.09003057, 0.24472847, 0.66524094));
  assert.deepEqual(scoresOf([LOGITS], 1, options!, { raw: true }), Float32Array.of(1, 2, 3));
  const half: Tensor = { dtype: 'float16', dims: [1, 3], data: new Uint16Array(Float16Array.of(1, 2, 0.5).buffer) };
  assert.deepEqual(scoresOf([half], ALL_ROWS, options!, { raw: true }), Float32Array.of(1, 2, 0.5));
  assert.throws(() => scoresOf([float32([2, 2], [1, 2, 3, 4])], 0, options!), {
    code: 'MODEL_FAILED',
    message: 'the model gave scores of shape [2, 2], and has 3 labels',
  });
});

test('65,536 classes are answered with the labels of the highest five', () => {
  const logits = Float32Array.from({ length: 65_536 }, (_, i) => (i * 7919) % 65_536);
  const main: Tensor = { dtype: 'float32', dims: [1, 65_536], data: logits };
  const { prediction, scores } = answer(main, {
    manifest: { classes: many(65_536), output: { activation: 'none' } },
  }) as {
    prediction: string;
    scores: { label: string; score: number }[];
  };
  assert.equal(prediction, `c${logits.indexOf(65_535)}`);
  assert.deepEqual(
    scores.map(({ score }) => score),
    [65_535, 65_534, 65_533, 65_532, 65_531],
  );
});
