import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, type Fetch } from '../../../clients/typescript/src/client.ts';

/** Answers 200 with `body`, and keeps what was asked. */
function recording(body: unknown = {}, status = 200) {
  const asked: { url: string; body: unknown }[] = [];
  const fetch: Fetch = async (url, init) => {
    asked.push({ url, body: init.body });
    return new Response(JSON.stringify(body), { status });
  };
  return { asked, fetch };
}

test('a call is for the model and version that it names, else for those of the client, else for the one behind /predict', async () => {
  const { asked, fetch } = recording();
  const plain = createClient({ url: 'https://server/base/', fetch });
  const bound = createClient({ url: 'https://server', model: 'team/churn', version: '2', fetch });
  await plain.predict([1]);
  await plain.predict([1], { model: 'a' });
  await bound.predict([1]);
  await bound.predict([1], { model: 'a' });
  await bound.metadata();
  await bound.ready();
  await plain.ready();
  await plain.serverMetadata();
  assert.deepEqual(
    asked.map(({ url }) => url),
    [
      'https://server/base/predict',
      'https://server/base/models/a/predict',
      'https://server/models/team%2Fchurn/versions/2/predict',
      'https://server/models/a/predict',
      'https://server/v2/models/team%2Fchurn/versions/2',
      'https://server/v2/models/team%2Fchurn/versions/2/ready',
      'https://server/base/v2/health/ready',
      'https://server/base/v2',
    ],
  );
});

test('features are written as JSON that keeps bigints and typed arrays', async () => {
  const { asked, fetch } = recording();
  await createClient({ url: 'http://server', fetch }).predict({ id: 9007199254740993n, x: Float32Array.of(1, 2) });
  assert.equal(asked[0]?.body, '{"features":{"id":9007199254740993,"x":[1,2]}}');
});

test('ready is false if the server sends 503 or cannot be reached, and rejects at any other error', async () => {
  const ready = (fetch: Fetch): Promise<boolean> => createClient({ url: 'http://server', fetch }).ready();
  assert.equal(await ready(recording({}, 200).fetch), true);
  assert.equal(await ready(recording({}, 503).fetch), false);
  assert.equal(await ready(() => Promise.reject(new TypeError('fetch failed'))), false);
  await assert.rejects(ready(recording({ error: 'who are you' }, 401).fetch), /who are you/);
});

test('invalid options are refused before anything is sent', async () => {
  assert.throws(() => createClient({ url: 'server:8080' }), TypeError);
  assert.throws(() => createClient({ url: 'ftp://server' }), /url: expected http or https/);
  assert.throws(() => createClient({ url: 'http://server', retries: -1 }), /retries/);
  assert.throws(() => createClient({ url: 'http://server', timeoutMs: 0 }), /timeoutMs/);
  const client = createClient({ url: 'http://server', fetch: recording().fetch });
  await assert.rejects(client.infer({ inputs: {} }), /model: expected its name/);
  await assert.rejects(client.metadata(), /model: expected its name/);
  assert.throws(() => client.batchPredict([], { batchSize: 0 }), /batchSize: expected an integer above 0, got 0/);
});

test('types: a prediction may have labels with their scores', async () => {
  const body = {
    prediction: 'cat',
    scores: [
      { label: 'cat', score: 0.75 },
      { label: 'dog', score: 'NaN' },
    ],
    outputs: {},
  };
  const { prediction, scores } = await createClient<string>({
    url: 'http://server',
    fetch: recording(body).fetch,
  }).predict([1]);
  const highest: number | string | undefined = scores?.[0]?.score;
  assert.deepEqual([prediction, highest, scores?.[1]?.label], ['cat', 0.75, 'dog']);
});

test('types: outputs that are asked for by datatype are typed by it', async () => {
  const body = { model_name: 'm', outputs: [{ name: 'y', datatype: 'FP32', shape: [1], data: [0.5] }] };
  const client = createClient<number, { y: number }>({
    url: 'http://server',
    model: 'm',
    fetch: recording(body).fetch,
  });
  const { outputs } = await client.infer(
    { inputs: { x: { datatype: 'BOOL', shape: [1], data: [true] } }, outputs: { y: 'FP32' } },
    { encoding: 'json' },
  );
  const data: Float32Array = outputs.y.data;
  assert.deepEqual(data, Float32Array.of(0.5));
  // @ts-expect-error: it was not asked for.
  assert.equal(outputs.z, undefined);
});
