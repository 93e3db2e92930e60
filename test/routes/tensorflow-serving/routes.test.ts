import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ServingError } from '../../../functions/errors.ts';
import type { BodyReader } from '../../../functions/routes/body-reader.ts';
import { createTensorFlowServingRoutes } from '../../../functions/routes/tensorflow-serving/routes.ts';
import { call, post } from '../../helpers/calls.ts';
import {
  countedRows,
  outcomeOf,
  type StubbedModel,
  stubGeneration,
  tensorSpec,
} from '../../helpers/generation-stub.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const PAIRS = { inputs: [tensorSpec('x', 'float32', -1, 2)], outputs: [tensorSpec('y', 'float32', -1, 2)] };
const TWO_OUTPUTS = {
  inputs: [tensorSpec('a', 'int64', -1), tensorSpec('b', 'string', -1)],
  outputs: [tensorSpec('same_a', 'int64', -1), tensorSpec('same_b', 'string', -1)],
};

async function start(t: TestContext, model: Partial<StubbedModel> = {}, parser: Partial<BodyReader> = {}) {
  const telemetry = recordTelemetry();
  const stub = stubGeneration({ signature: PAIRS, ...model });
  const { repository } = stub;
  const options = { repository, parser: parser as BodyReader, metrics: telemetry.metrics, maxBodyBytes: 200_000 };
  const host = await serveOnly(t, createTensorFlowServingRoutes(options), telemetry);
  const predict = (body: unknown, headers?: Record<string, string>) =>
    post(host, '/v1/models/m:predict', body, headers);
  return { host, stub, telemetry, predict };
}

test('rows in give predictions, whole tensors in give outputs; one output has no name', async (t) => {
  const { predict, stub, telemetry } = await start(t);
  const rows = await predict({
    instances: [
      [1, 2],
      [3, 4],
    ],
  });
  assert.deepEqual([rows.status, rows.text], [200, '{"predictions":[[1,2],[3,4]]}']);
  const columns = await predict({ signature_name: 'serving_default', inputs: { x: [[1, 2]] } });
  assert.deepEqual([columns.status, columns.text], [200, '{"outputs":[[1,2]]}']);
  assert.equal(rows.headers.get('content-type'), 'application/json');
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 3, failed: 0 }, 0]);
});

test('several outputs have their names: in each prediction, or around whole tensors', async (t) => {
  const { predict } = await start(t, { signature: TWO_OUTPUTS });
  const rows = await predict('{"instances":[{"a":9007199254740993,"b":"x"},{"a":2,"b":{"b64":"w6U="}}]}');
  assert.equal(rows.text, '{"predictions":[{"same_a":9007199254740993,"same_b":"x"},{"same_a":2,"same_b":"å"}]}');
  const columns = await predict({ inputs: { b: ['x', 'y'], a: [1, 2] } });
  assert.deepEqual(columns.json(), { outputs: { same_a: [1, 2], same_b: ['x', 'y'] } });
});

test('a path may have the version, and the name of the model ends at the last colon', async (t) => {
  const { host } = await start(t);
  for (const [path, status] of [
    ['m/versions/1:predict', 200],
    ['m/versions/001:predict', 200],
    ['m/versions/2:predict', 404],
    ['n:predict', 404],
  ] as const) {
    assert.equal((await post(host, `/v1/models/${path}`, { instances: [[1, 2]] })).status, status, path);
  }
  const colons = await post(host, '/v1/models/a:b:predict', { instances: [[1, 2]] });
  assert.deepEqual([colons.status, colons.json().error], [404, 'there is no model a:b']);
});

test('a body of any content type is read as JSON, and may be gzip', async (t) => {
  const { predict, host } = await start(t);
  const body = '{"instances":[[1,2]]}';
  assert.equal((await predict(body, { 'content-type': 'application/x-www-form-urlencoded' })).status, 200);
  const packed = await call(host, '/v1/models/m:predict', {
    method: 'POST',
    headers: { 'content-encoding': 'gzip' },
    body: gzipSync(body),
  });
  assert.deepEqual(packed.json(), { predictions: [[1, 2]] });
});

test('NaN and Infinity without quotes, as Python writes them, are accepted; the response has them as strings', async (t) => {
  const { predict } = await start(t);
  for (const body of ['{"instances":[[NaN,-Infinity]]}', '{"instances":[["NaN","-Infinity"]]}']) {
    assert.equal((await predict(body)).text, '{"predictions":[["NaN","-Infinity"]]}');
  }
});

test('classify, regress and explain are not supported, and a version label is not found', async (t) => {
  const { host } = await start(t);
  for (const verb of ['classify', 'regress', 'explain']) {
    for (const place of ['m', 'm/versions/1']) {
      const answer = await post(host, `/v1/models/${place}:${verb}`, {});
      assert.deepEqual([answer.status, answer.json().code], [501, 'UNSUPPORTED'], `${place}:${verb}`);
    }
    assert.equal((await post(host, `/v1/models/m/labels/stable:${verb}`, {})).status, 404);
  }
  const labelled = '/v1/models/m/labels/stable';
  for (const answer of [
    await post(host, `${labelled}:predict`, { instances: [[1, 2]] }),
    await call(host, labelled),
    await call(host, `${labelled}/metadata`),
  ]) {
    assert.equal(answer.status, 404);
    assert.match(answer.json().error, /^there is no version label stable: name a version/);
  }
});

test('GET of a verb is a 405 that allows POST', async (t) => {
  const { host } = await start(t);
  for (const verb of ['predict', 'classify', 'regress', 'explain']) {
    const answer = await call(host, `/v1/models/m:${verb}`);
    assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST'], verb);
  }
});

test('the models are listed by name; a model has a status and the types of its signature', async (t) => {
  const { host } = await start(t);
  const get = async (path: string) => (await call(host, `/v1/models${path}`)).json();
  const { object, data, ...list } = await get('');
  assert.deepEqual(list, { models: ['m'] });
  assert.deepEqual([object, data.map(({ id }: { id: string }) => id)], ['list', ['m']]);
  const OK = { error_code: 'OK', error_message: '' };
  assert.deepEqual((await get('/m')).model_version_status, [{ version: '1', state: 'AVAILABLE', status: OK }]);
  assert.deepEqual((await get('/m/versions/1')).model_version_status.length, 1);
  for (const path of ['/m/metadata', '/m/versions/1/metadata']) {
    const { model_spec, metadata } = await get(path);
    assert.deepEqual([model_spec.name, model_spec.version], ['m', '1']);
    const { inputs, outputs } = metadata.signature_def.signature_def.serving_default;
    assert.deepEqual([inputs.x.dtype, Object.keys(outputs)], ['DT_FLOAT', ['y']]);
  }
  assert.equal((await call(host, '/v1/models/n/metadata')).status, 404);
});

test('the model is released after a refusal and after a failure; only rows that ran are counted', async (t) => {
  const failed = new ServingError('MODEL_FAILED', 'the model failed on this input');
  const predict = async () => [{ rows: 2, error: failed }];
  const { predict: send, stub, telemetry } = await start(t, { predict });
  const bad = await send({ instances: [[1, 2], [3]] });
  assert.deepEqual([bad.status, bad.json().path], [400, 'instances[1]']);
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 0, failed: 0 }, 0]);
  const row = await send({
    instances: [
      [1, 2],
      [3, 4],
    ],
  });
  assert.deepEqual([row.status, row.json().path], [500, 'instances[0]']);
  assert.equal(
    (
      await send({
        inputs: [
          [1, 2],
          [3, 4],
        ],
      })
    ).status,
    500,
  );
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 0, failed: 4 }, 0]);
});

test('a model is held while its rows run', async (t) => {
  const held: number[] = [];
  const { predict, stub } = await start(t, {
    predict: async (feeds) => {
      held.push(stub.held());
      return outcomeOf(feeds);
    },
  });
  await predict({ instances: [[1, 2]] });
  await predict({ inputs: [[1, 2]] });
  assert.deepEqual([held, stub.held()], [[1, 1], 0]);
});

test('a large body is read in the thread, as a body of this dialect', async (t) => {
  const given: unknown[] = [];
  const readInThread = (async (bytes: Buffer, reading: unknown) => {
    given.push(bytes.length, reading);
    return { form: 'column', tensors: [{ dtype: 'float32', dims: [1, 2], data: Float32Array.of(5, 6) }] };
  }) as BodyReader['readInThread'];
  const { predict, stub } = await start(t, {}, { readInThread });
  const large = await predict('{"inputs":[[5,6]]}'.padEnd(65_536));
  assert.deepEqual(large.json(), { outputs: [[5, 6]] });
  assert.deepEqual(given, [65_536, { as: 'tensorflow', form: stub.live.rows.form }]);
});
