import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { createOpenAiRoutes } from '../../../functions/routes/openai/routes.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import { post } from '../../helpers/calls.ts';
import { countedRows } from '../../helpers/generation-stub.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { stubTexts, type TextStubOptions } from '../../helpers/text-stub.ts';
import { until } from '../../helpers/until.ts';

async function start(t: TestContext, model: TextStubOptions = {}) {
  const telemetry = recordTelemetry();
  const stub = stubTexts(model);
  const { repository } = stub;
  const parser = { parse: (bytes: Buffer) => readJson(bytes) };
  const options = { repository, parser, metrics: telemetry.metrics, maxBodyBytes: 2 ** 22 };
  const host = await serveOnly(t, createOpenAiRoutes(options), telemetry);
  return { stub, telemetry, host, embed: (body: unknown) => post(host, '/v1/embeddings', body) };
}

/** The float32 values of a JSON array. */
const floats = (values: number[]): number[] => values.map(Math.fround);

const unit = (...values: number[]): number[] => {
  const norm = Math.hypot(...values);
  return values.map((value) => Math.fround(value / norm));
};

test('a text, and texts, give embeddings of length 1 in their order, with the tokens that they took', async (t) => {
  const { embed, stub, telemetry } = await start(t);
  const one = await embed({ input: 'two words', model: 'm' });
  assert.equal(one.status, 200, one.text);
  const { data: answered, ...rest } = one.json();
  const [{ embedding, ...more }] = answered;
  assert.deepEqual(
    [answered.length, floats(embedding), more],
    [1, unit(9, 2, 0, 2), { object: 'embedding', index: 0 }],
  );
  assert.deepEqual(rest, { object: 'list', model: 'm', usage: { prompt_tokens: 2, total_tokens: 2 } });
  const { data, usage } = (await embed({ input: ['a', 'b b'], user: 'ada', input_type: 'query' })).json();
  assert.deepEqual(
    data.map((each: { embedding: number[] }) => floats(each.embedding)),
    [unit(1, 1, 0, 2), unit(3, 2, 0, 2)],
  );
  assert.deepEqual(usage, { prompt_tokens: 3, total_tokens: 3 });
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 3, failed: 0 }, 0]);
});

test('base64 is the bytes of the float32 values', async (t) => {
  const { embed } = await start(t);
  const { data } = (await embed({ input: ['a', 'two words'], encoding_format: 'base64' })).json();
  const bytes = Buffer.from(data[1].embedding, 'base64');
  assert.deepEqual(
    [bytes.length, Array.from({ length: 4 }, (_, i) => bytes.readFloatLE(4 * i))],
    [16, unit(9, 2, 0, 2)],
  );
});

test('dimensions are the first values, normalized again, and at most those of the model', async (t) => {
  const { embed } = await start(t, { normalizes: true });
  const { data } = (await embed({ input: 'two words', dimensions: 2 })).json();
  assert.deepEqual(floats(data[0].embedding), unit(9, 2));
  const more = await embed({ input: 'a', dimensions: 5 });
  assert.deepEqual(
    [more.status, more.json().error],
    [
      400,
      {
        message: "dimensions: expected at most 4, the values of this model's embeddings, got 5",
        type: 'invalid_request_error',
        param: 'dimensions',
        code: null,
      },
    ],
  );
  for (const dimensions of [0, 1.5, '2']) assert.equal((await embed({ input: 'a', dimensions })).status, 400);
});

test('token ids are rows as texts are: those of one text, or of several', async (t) => {
  const { embed, stub } = await start(t);
  const one = (await embed({ input: [7, 8, 9] })).json();
  assert.deepEqual([one.data.length, floats(one.data[0].embedding), one.usage.prompt_tokens], [1, unit(7, 3, 0, 2), 3]);
  const lists = Array.from({ length: 40 }, (_, i) => Array.from({ length: 1 + (i % 7) }, () => 50 + i));
  const { data } = (await embed({ input: lists })).json();
  assert.deepEqual(
    data.map((each: { index: number; embedding: number[] }) => [each.index, floats(each.embedding)]),
    lists.map((ids, i) => [i, unit(ids[0]!, ids.length, 0, 2)]),
  );
  assert.ok(stub.fed.slice(1).every(({ tensors: [ids] }) => ids!.dtype === 'int32' && ids!.dims[1]! <= 7));
});

test('one long list of token ids does not make the others as long, and is cut behind the length of the model', async (t) => {
  const { embed, stub } = await start(t);
  const answer = await embed({ input: [...Array.from({ length: 1000 }, () => [20]), Array(100_000).fill(20)] });
  assert.equal(answer.status, 200, answer.text.slice(0, 200));
  assert.equal(answer.headers.get('x-truncated-inputs'), '1');
  const elements = stub.fed.reduce((sum, { tensors }) => sum + tensors[0]!.data.length, 0);
  assert.equal(elements, 1000 + 9);
});

test('a request of 10,000 texts is run in parts, and answered in its order', async (t) => {
  const { embed, stub, telemetry } = await start(t);
  const texts = Array.from({ length: 10_000 }, (_, i) => 'a'.repeat(1 + (i % 50)));
  const { data, usage } = (await embed({ input: texts, encoding_format: 'float' })).json();
  assert.equal(data.length, 10_000);
  for (const [i, { index, embedding }] of data.entries()) {
    assert.equal(index, i);
    assert.deepEqual(floats(embedding), unit(texts[i]!.length, 1, 0, 2));
  }
  assert.equal(usage.total_tokens, 10_000);
  assert.ok(stub.calls.every(({ rows }) => rows <= 256));
  assert.deepEqual(countedRows(telemetry), { ok: 10_000, failed: 0 });
});

test('a text that was cut is told in a field of the response', async (t) => {
  const { embed } = await start(t);
  const { headers, json } = await embed({ input: ['a', 'a b c d e f g h i j'] });
  assert.deepEqual([headers.get('x-truncated-inputs'), json().usage.total_tokens], ['1', 9]);
  assert.equal((await embed({ input: ['a'] })).headers.get('x-truncated-inputs'), null);
});

const REFUSED: [title: string, body: unknown, error: object][] = [
  ['a body that is no object', [], { message: 'the body: expected an object, got an array of 0 values', param: null }],
  ['no input', {}, { message: 'input: is missing', param: 'input' }],
  ['no texts', { input: [] }, { message: 'input: expected one element at least, got an empty array', param: 'input' }],
  ['a number', { input: 1 }, { message: 'input: expected a text, got 1', param: 'input' }],
  ['a number among texts', { input: ['a', 1] }, { message: 'input[1]: expected a text, got 1', param: 'input[1]' }],
  [
    'a text among ids',
    { input: [[1], 'a'] },
    { message: 'input[1]: expected an array of token ids, got "a"', param: 'input[1]' },
  ],
  [
    'no ids',
    { input: [[]] },
    { message: 'input[0]: expected one token id at least, got an empty array', param: 'input[0]' },
  ],
  [
    'a negative id',
    { input: [1, -1] },
    { message: 'input[1]: expected a token id, an integer from 0 on, got -1', param: 'input[1]' },
  ],
  [
    'another format',
    { input: 'a', encoding_format: 'hex' },
    { message: 'encoding_format: expected "float" or "base64", got "hex"', param: 'encoding_format' },
  ],
  ['a text that fails', { input: ['a', 'bad'] }, { message: 'input[1]: the text is not liked', param: 'input[1]' }],
];
for (const [title, body, error] of REFUSED) {
  test(`${title}: 400 in OpenAI's form, with the place`, async (t) => {
    const { embed, stub } = await start(t, { failing: 'bad' });
    const answer = await embed(body);
    assert.deepEqual(
      [answer.status, answer.json()],
      [400, { error: { ...error, type: 'invalid_request_error', code: null } }],
    );
    assert.equal(stub.held(), 0);
  });
}

test('an unknown model is 404, as OpenAI says it', async (t) => {
  const { embed } = await start(t);
  const { status, json } = await embed({ input: 'a', model: 'text-embedding-3-small' });
  assert.deepEqual(
    [status, json().error],
    [
      404,
      {
        message: 'there is no model text-embedding-3-small',
        type: 'invalid_request_error',
        param: 'model',
        code: 'model_not_found',
      },
    ],
  );
});

test('a model for another task is 400, which clients do not retry, and says its task', async (t) => {
  const { embed } = await start(t, { task: 'classification' });
  const { status, json } = await embed({ input: 'a' });
  assert.deepEqual(
    [status, json().error.message],
    [400, 'expected a model for embeddings: m is a model for classification'],
  );
});

test('a full queue is 429 with Retry-After, and a run that fails is 500', async (t) => {
  for (const [code, status, type] of [
    ['OVERLOADED', 429, 'rate_limit_error'],
    ['MODEL_FAILED', 500, 'server_error'],
  ] as const) {
    const { embed, telemetry } = await start(t, {
      beforeRun: () => Promise.reject(new ServingError(code, 'no', code === 'OVERLOADED' ? { retryAfter: 3 } : {})),
    });
    const answer = await embed({ input: 'a' });
    assert.deepEqual([answer.status, answer.json().error.type], [status, type]);
    assert.equal(answer.headers.get('retry-after'), code === 'OVERLOADED' ? '3' : null);
    const counted = `http_requests_total{route="/v1/embeddings",method="POST",status="${status}"} 1`;
    assert.ok(telemetry.metrics.render().text.includes(counted));
  }
});

test('a client that leaves ends its request: texts that are not in a run are not run', async (t) => {
  const leaving = new AbortController();
  const { host, stub } = await start(t, {
    async beforeRun(terms) {
      leaving.abort();
      await until(() => terms.cancelled, 'the client to leave');
    },
  });
  const body = JSON.stringify({ input: new Array(10_000).fill('a') });
  const headers = { 'content-type': 'application/json' };
  const sent = fetch(`${host.url}/v1/embeddings`, { method: 'POST', headers, body, signal: leaving.signal });
  await assert.rejects(sent, { name: 'AbortError' });
  await stub.released;
  assert.ok(stub.calls.length <= 4, String(stub.calls.length));
});
