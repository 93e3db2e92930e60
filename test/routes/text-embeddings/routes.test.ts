import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { createPredictRoutes } from '../../../functions/routes/native/predict.ts';
import { createPredictTexts, createTextEmbeddingsRoutes } from '../../../functions/routes/text-embeddings/routes.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import { call, post } from '../../helpers/calls.ts';
import { countedRows } from '../../helpers/generation-stub.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { stubTexts, type TextStubOptions } from '../../helpers/text-stub.ts';

async function start(t: TestContext, model: TextStubOptions = {}) {
  const telemetry = recordTelemetry();
  const { metrics } = telemetry;
  const stub = stubTexts(model);
  const { repository } = stub;
  const parser = { parse: (bytes: Buffer) => readJson(bytes) };
  const options = {
    repository,
    parser,
    metrics,
    maxBodyBytes: 2 ** 22,
    onGpu: false,
    maxQueueSize: 512,
    maxBatchSize: 32,
    maxBatchTokens: 16_384,
  };
  const routes = [
    ...createTextEmbeddingsRoutes(options),
    ...createPredictRoutes({
      ...options,
      parser: parser as never,
      predictTexts: createPredictTexts({ metrics, onGpu: true }),
    }),
  ];
  const host = await serveOnly(t, routes, telemetry);
  return { stub, telemetry, host, send: (path: string, body: unknown) => post(host, path, body) };
}

test('/embed gives an array for each text, of length 1 unless normalize is false', async (t) => {
  const { send, stub, telemetry } = await start(t);
  const one = await send('/embed', { inputs: 'two words', normalize: false });
  assert.deepEqual([one.status, one.json()], [200, [[9, 2, 0, 2]]]);
  const normalized = (await send('/embed', { inputs: ['two words', 'a'] })).json();
  assert.ok(normalized.every((values: number[]) => Math.abs(Math.hypot(...values) - 1) < 1e-6));
  assert.deepEqual(
    stub.calls.map(({ text }) => text?.normalize),
    [false, true],
  );
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 3, failed: 0 }, 0]);
});

test('dimensions are the first values; with normalize they have length 1', async (t) => {
  const { send } = await start(t);
  assert.deepEqual((await send('/embed', { inputs: 'two words', normalize: false, dimensions: 2 })).json(), [[9, 2]]);
  const [[x, y]] = (await send('/embed', { inputs: 'two words', dimensions: 2 })).json();
  assert.ok(Math.abs(x / y - 4.5) < 1e-5 && Math.abs(Math.hypot(x, y) - 1) < 1e-6);
});

test('what a body says about its texts reaches the tokenizer, and null is nothing said', async (t) => {
  const { send, stub } = await start(t);
  await send('/embed', { inputs: 'a', truncate: false, prompt_name: 'query', truncation_direction: 'Right', more: 1 });
  await send('/embed', { inputs: 'a', truncate: null, prompt_name: null, normalize: null, dimensions: null });
  assert.deepEqual(
    stub.calls.map(({ text }) => text),
    [
      { truncate: false, prompt: 'query', normalize: true },
      { truncate: undefined, prompt: undefined, normalize: true },
    ],
  );
});

test('the fields of a response say what it took', async (t) => {
  const { send } = await start(t);
  const { headers } = await send('/embed', { inputs: ['two 😀', 'a b c d e f g h i'] });
  const field = (name: string) => headers.get(name);
  assert.deepEqual(['x-compute-type', 'x-compute-characters', 'x-compute-tokens', 'x-truncated-inputs'].map(field), [
    'cpu',
    '22',
    '10',
    '1',
  ]);
  assert.match(`${field('x-compute-time')} ${field('x-total-time')}`, /^\d+ \d+$/);
});

test('token ids are taken in place of texts', async (t) => {
  const { send } = await start(t);
  assert.deepEqual((await send('/embed', { inputs: [7, 8], normalize: false })).json(), [[7, 2, 0, 2]]);
  assert.deepEqual((await send('/embed', { inputs: [[7, 8], [5]], normalize: false })).json(), [
    [7, 2, 0, 2],
    [5, 1, 0, 2],
  ]);
});

test('/similarity is the cosine of the angle to each sentence', async (t) => {
  const { send, stub } = await start(t);
  const inputs = { source_sentence: 'aa', sentences: ['aa', 'aaaa bbbb'] };
  const { status, json } = await send('/similarity', { inputs, parameters: { prompt_name: 'query' } });
  const [same, other] = json();
  const expected = (2 * 9 + 1 * 2 + 2 * 2) / (Math.hypot(2, 1, 2) * Math.hypot(9, 2, 2));
  assert.equal(status, 200);
  assert.ok(Math.abs(same - 1) < 1e-6 && Math.abs(other - expected) < 1e-6, `${same} ${other}`);
  assert.deepEqual(stub.calls[0]!.text, { truncate: undefined, prompt: 'query', normalize: true });
});

test('/rerank gives the best text first; the score is a probability unless raw_scores is true', async (t) => {
  const { send } = await start(t, { task: 'reranking' });
  const body = { query: 'abcd', texts: ['abcdef', 'ab', 'abc'] };
  assert.deepEqual((await send('/rerank', { ...body, raw_scores: true })).json(), [
    { index: 1, score: 2 },
    { index: 2, score: 1 },
    { index: 0, score: -2 },
  ]);
  const ranks = (await send('/rerank', { ...body, return_text: true })).json();
  assert.deepEqual(
    ranks.map(({ index, text }: { index: number; text: string }) => [index, text]),
    [
      [1, 'ab'],
      [2, 'abc'],
      [0, 'abcdef'],
    ],
  );
  assert.ok(Math.abs(ranks[0].score - 1 / (1 + Math.exp(-2))) < 1e-6);
});

test('a long query beside many texts is refused: their pairs are more than the body', async (t) => {
  const { send, stub } = await start(t, { task: 'reranking' });
  const texts = new Array(1000).fill('a');
  const refused = await send('/rerank', { query: 'a'.repeat(2 ** 13), texts });
  assert.deepEqual([refused.status, refused.json().path, stub.calls.length], [413, 'query', 0]);
  assert.equal((await send('/rerank', { query: 'a'.repeat(2 ** 12), texts })).status, 200);
});

test('/predict with inputs gives the labels of a text, the best first, and an array of them for a batch', async (t) => {
  const { send, telemetry } = await start(t, { task: 'classification' });
  const one = await send('/predict', { inputs: 'three words here', raw_scores: true });
  const scores = [
    { score: 3, label: 'fair' },
    { score: 1, label: 'good' },
    { score: -1, label: 'bad' },
  ];
  assert.deepEqual([one.status, one.json(), one.headers.get('x-compute-type')], [200, scores, 'gpu+optimized']);
  assert.deepEqual((await send('/predict', { inputs: [['three words here']], raw_scores: true })).json(), [scores]);
  const [best] = (await send('/predict', { inputs: ['three words here'] })).json();
  assert.ok(Math.abs(best.score - Math.exp(3) / (Math.exp(3) + Math.exp(1) + Math.exp(-1))) < 1e-6, best.score);
  assert.deepEqual(countedRows(telemetry), { ok: 3, failed: 0 });
});

test('/predict with inputs takes pairs, one or a batch, to a model of pairs', async (t) => {
  const { send } = await start(t, { task: 'reranking' });
  const raw = (inputs: unknown) => send('/predict', { inputs, raw_scores: true });
  const label = (score: number) => [{ score, label: 'LABEL_0' }];
  assert.deepEqual((await raw(['abc', 'a'])).json(), label(2));
  assert.deepEqual(
    (
      await raw([
        ['abc', 'a'],
        ['a', 'b'],
      ])
    ).json(),
    [label(2), label(0)],
  );
  const single = await raw('abc');
  assert.deepEqual(
    [single.status, single.json().error],
    [422, 'inputs: expected text, text_pair for the model m, got one text'],
  );
});

test('/predict with features is native, whatever the model', async (t) => {
  const { send } = await start(t, { task: 'classification' });
  const { status, json } = await send('/predict', { features: 'two words' });
  assert.deepEqual([status, json().outputs.logits], [200, [-1, 2, 1]]);
  const neither = await send('/predict', { feature: 'two words' });
  assert.deepEqual([neither.status, neither.json().error_type], [400, undefined]);
  const both = await send('/predict', { features: 'a', inputs: 'b' });
  assert.match(both.json().error, /unknown key "inputs"/);
});

test('/tokenize gives the tokens with their places, in characters; special ones have none', async (t) => {
  const { send } = await start(t);
  const special = (id: number, text: string) => ({ id, text, special: true, start: null, stop: null });
  const words = [
    { id: 10, text: 'Two', special: false, start: 0, stop: 3 },
    { id: 11, text: '😀s', special: false, start: 4, stop: 6 },
    { id: 12, text: 'x', special: false, start: 7, stop: 8 },
  ];
  const { status, json } = await send('/tokenize', { inputs: 'Two 😀s x' });
  assert.deepEqual([status, json()], [200, [[special(1, '[CLS]'), ...words, special(2, '[SEP]')]]]);
  const plain = await send('/tokenize', { inputs: ['Two 😀s x', 'Two'], add_special_tokens: false });
  assert.deepEqual(plain.json(), [words, [words[0]]]);
  const many = (await send('/tokenize', { inputs: new Array(1000).fill('Two') })).json();
  assert.equal(many.length, 1000);
});

test('/tokenize holds the tokens of few long texts at a time, and gives all texts in their order', async (t) => {
  const { send, stub } = await start(t);
  const inputs = [
    'a',
    'b'.repeat(2 ** 16),
    'c',
    'd',
    ...new Array(300).fill('e'),
    'f'.repeat(2 ** 15),
    'g'.repeat(2 ** 15),
  ];
  const rows = (await send('/tokenize', { inputs, add_special_tokens: false })).json() as { text: string }[][];
  assert.deepEqual(
    rows.map(([token]) => token!.text),
    inputs,
  );
  const sizes = stub.tokenized.map((texts) => [texts.length, texts.join('').length]);
  assert.deepEqual(sizes, [
    [1, 1],
    [1, 2 ** 16],
    [256, 256],
    [47, 46 + 2 ** 15],
    [1, 2 ** 15],
  ]);
});

test('every route is also below the path of a model', async (t) => {
  const { send, host } = await start(t);
  for (const prefix of ['/models/m', '/models/m/versions/1']) {
    assert.equal((await send(`${prefix}/embed`, { inputs: 'a' })).status, 200);
    assert.equal((await call(host, `${prefix}/info`)).status, 200);
  }
  const unknown = await send('/models/n/embed', { inputs: 'a' });
  assert.deepEqual([unknown.status, unknown.json().error_type], [404, 'validation']);
});

test('/info has the model, its task and the limits', async (t) => {
  const { host } = await start(t);
  assert.deepEqual((await call(host, '/info')).json(), {
    model_id: 'm',
    model_sha: null,
    model_dtype: 'float32',
    model_type: { embedding: { pooling: 'mean' } },
    max_concurrent_requests: 512,
    max_input_length: 8,
    max_batch_tokens: 16_384,
    max_batch_requests: 32,
    max_client_batch_size: 32_768,
    auto_truncate: true,
    version: '0+onnx-cloud-run',
  });
  const { host: other } = await start(t, { task: 'classification' });
  assert.deepEqual((await call(other, '/info')).json().model_type, {
    classifier: { id2label: { 0: 'bad', 1: 'fair', 2: 'good' }, label2id: { bad: 0, fair: 1, good: 2 } },
  });
});

test('embeddings of tokens and sparse ones are 501', async (t) => {
  const { send } = await start(t);
  for (const path of ['/embed_all', '/embed_sparse', '/models/m/embed_all']) {
    const { status, json } = await send(path, { inputs: 'a' });
    assert.deepEqual([status, json().code, json().error_type], [501, 'UNSUPPORTED', 'backend'], path);
  }
});

const REFUSED: [title: string, path: string, body: unknown, status: number, error: string][] = [
  ['no inputs', '/embed', {}, 422, 'inputs: is missing'],
  ['no texts', '/embed', { inputs: [] }, 422, 'inputs: expected one element at least, got an empty array'],
  ['an object', '/embed', { inputs: {} }, 422, 'inputs: expected a text, got an object'],
  ['a wrong flag', '/embed', { inputs: 'a', truncate: 1 }, 422, 'truncate: expected true or false, got 1'],
  [
    'another side',
    '/embed',
    { inputs: 'a', truncation_direction: 'Left' },
    424,
    'truncation_direction: texts of this model are cut on the right: leave it out',
  ],
  [
    'no side',
    '/embed',
    { inputs: 'a', truncation_direction: 'up' },
    422,
    'truncation_direction: expected "Left" or "Right", got "up"',
  ],
  [
    'many dimensions',
    '/embed',
    { inputs: 'a', dimensions: 9 },
    422,
    "dimensions: expected at most 4, the values of this model's embeddings, got 9",
  ],
  [
    'a long text that is not to be cut',
    '/embed',
    { inputs: ['a', 'a b c d e f g h i'], truncate: false },
    422,
    'inputs[1]: the text has 9 tokens: expected at most 8',
  ],
  [
    'too many token ids that are not to be cut',
    '/embed',
    { inputs: [[1], [1, 2, 3, 4, 5, 6, 7, 8, 9]], truncate: false },
    422,
    'inputs[1]: 9 token ids: expected at most 8, because truncate is false',
  ],
  ['no sentences', '/similarity', { inputs: { source_sentence: 'a' } }, 422, 'inputs.sentences: is missing'],
  [
    'a text that fails',
    '/similarity',
    { inputs: { source_sentence: 'a', sentences: ['b', 'bad'] } },
    422,
    'inputs.sentences[1]: the text is not liked',
  ],
  [
    'another task',
    '/rerank',
    { query: 'a', texts: ['b'] },
    424,
    'expected a model for reranking: m is a model for embeddings',
  ],
  [
    'another task',
    '/predict',
    { inputs: 'a' },
    424,
    'expected a model for classification or reranking: m is a model for embeddings',
  ],
];
for (const [title, path, body, status, error] of REFUSED) {
  test(`${path} with ${title}: ${status} ${error}`, async (t) => {
    const { send, stub } = await start(t, { failing: 'bad' });
    const answer = await send(path, body);
    const { error: message, error_type } = answer.json();
    assert.deepEqual([answer.status, message, error_type], [status, error, status === 424 ? 'backend' : 'validation']);
    assert.equal(stub.held(), 0);
  });
}

test('a batch of texts and pairs is refused with its place', async (t) => {
  const { send } = await start(t, { task: 'classification' });
  const mixed = await send('/predict', { inputs: [['a'], ['b', 'c']] });
  assert.deepEqual(
    [mixed.status, mixed.json().error],
    [422, 'inputs[1]: expected one text, as inputs[0] is, got a pair'],
  );
  for (const inputs of [[['a', 'b', 'c']], ['a', 'b', 'c'], [[]], [], [['a'], 'b']]) {
    assert.equal((await send('/predict', { inputs })).status, 422, JSON.stringify(inputs));
  }
});

test('more texts than a response can have are 413', async (t) => {
  const { send } = await start(t);
  const { status, json } = await send('/embed', { inputs: new Array(32_769).fill('a') });
  assert.deepEqual([status, json().error_type], [413, 'validation']);
});

test('errors of the model and of its queue have the statuses of text-embeddings-inference', async (t) => {
  for (const [code, status, type] of [
    ['OVERLOADED', 429, 'overloaded'],
    ['MODEL_FAILED', 424, 'backend'],
    ['NOT_READY', 503, 'unhealthy'],
  ] as const) {
    const beforeRun = () => Promise.reject(new ServingError(code, 'no', { retryAfter: 3 }));
    const { send, telemetry } = await start(t, { beforeRun });
    const answer = await send('/embed', { inputs: 'a' });
    const counted = `http_requests_total{route="/embed",method="POST",status="${status}"} 1`;
    assert.ok(telemetry.metrics.render().text.includes(counted), counted);
    assert.deepEqual([answer.status, answer.json().error_type, answer.json().code], [status, type, code]);
    assert.equal(answer.headers.get('retry-after'), '3');
  }
});
