import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import { ServingError } from '../../../functions/errors.ts';
import type { Generation } from '../../../functions/model/serving/generation.ts';
import type { BodyReader, Owner } from '../../../functions/routes/body-reader.ts';
import { createPredictRoutes } from '../../../functions/routes/native/predict.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { call, post } from '../../helpers/calls.ts';
import {
  countedRows,
  type GenerationStub,
  type StubbedModel,
  stubGeneration,
  tensorSpec,
} from '../../helpers/generation-stub.ts';
import { connect } from '../../helpers/raw-http.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { column, float32 } from '../../helpers/tensors.ts';

/** As the bundled iris model has it: four features, a class and the scores of three. */
const IRIS = {
  inputs: [tensorSpec('features', 'float32', -1, 4)],
  outputs: [tensorSpec('label', 'int64', -1), tensorSpec('probabilities', 'float32', -1, 3)],
};
const OUTPUTS: Tensor[] = [
  { dtype: 'int64', dims: [1], data: BigInt64Array.of(2n) },
  float32([1, 3], [0.25, 0.25, 0.5]),
];
const classify = async ({ rows }: Feeds) => [{ rows, outputs: OUTPUTS, first: 0 }];
const ROW = [5.1, 3.5, 1.4, 0.2];

async function start(
  t: TestContext,
  model: Partial<StubbedModel> = {},
  change: (stub: GenerationStub) => Pick<GenerationStub, 'repository'> = (stub) => stub,
  parser: Partial<BodyReader> = {},
) {
  const telemetry = recordTelemetry();
  const stub = stubGeneration({ signature: IRIS, predict: classify, ...model });
  const { repository } = change(stub);
  const options = { repository, parser: parser as BodyReader, metrics: telemetry.metrics, maxBodyBytes: 200_000 };
  const host = await serveOnly(t, createPredictRoutes(options), telemetry);
  return { host, stub, telemetry };
}

test('a prediction with an answer has the label and the highest scores before the outputs', async (t) => {
  const output = { name: 'probabilities', activation: 'none', top: 2 } as const;
  const { host } = await start(t, { manifest: { output, classes: ['setosa', 'versicolor', 'virginica'] } });
  const { text } = await post(host, '/predict', { features: ROW });
  assert.equal(
    text,
    '{"prediction":"virginica","scores":[{"label":"virginica","score":0.5},{"label":"setosa","score":0.25}],' +
      '"outputs":{"label":2,"probabilities":[0.25,0.25,0.5]},"model":{"name":"m","version":"1"}}',
  );
});

test('a prediction has the main output, its label, every output, and the model that made it', async (t) => {
  const manifest = { output: 'label', classes: ['setosa', 'versicolor', 'virginica'] };
  const { host, stub, telemetry } = await start(t, { manifest, version: '3' });
  for (const path of ['/predict', '/models/m/predict', '/models/m/versions/3/predict']) {
    const { status, headers, text } = await post(host, path, { features: ROW });
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/json']);
    assert.equal(
      text,
      '{"prediction":2,"label":"virginica","outputs":{"label":2,"probabilities":[0.25,0.25,0.5]},"model":{"name":"m","version":"3"}}',
    );
  }
  assert.deepEqual(stub.fed[0]!.tensors, [{ dtype: 'float32', dims: [1, 4], data: Float32Array.from(ROW) }]);
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 3, failed: 0 }, 0]);
});

test('a body that is no row is refused with its path, and does not reach the model', async (t) => {
  const { host, stub } = await start(t);
  for (const [body, path] of [
    ['[1,2,3,4]', undefined],
    ['{}', 'features'],
    ['{"features":[1,2,3,4],"more":1}', undefined],
    ['{"features":[1,2,3]}', 'features'],
    ['{"features":[1,2,"x",4]}', 'features[2]'],
    ['{"features":{"features":[1,2,null,4]}}', 'features.features[2]'],
    ['{"features":[1,2,3,4]', undefined],
  ] as const) {
    const answer = await post(host, '/predict', body);
    const { error, code, path: place, request_id } = answer.json();
    assert.deepEqual([answer.status, code, place], [400, 'INVALID_INPUT', path], body);
    assert.ok(error.length > 10 && request_id === answer.headers.get('x-request-id'));
  }
  assert.deepEqual([stub.fed.length, stub.held()], [0, 0]);
});

test('only JSON is taken, up to the limit, by POST', async (t) => {
  const { host } = await start(t);
  assert.equal((await post(host, '/predict', { features: ROW }, { 'content-type': 'text/csv' })).status, 415);
  assert.equal((await post(host, '/predict', ' '.repeat(200_001))).status, 413);
  const get = await call(host, '/predict');
  assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST']);
});

test('a model that is not there is a 404', async (t) => {
  const { host } = await start(t);
  for (const path of ['/models/n/predict', '/models/m/versions/9/predict']) {
    assert.equal((await post(host, path, { features: ROW })).status, 404);
  }
});

test('a row that fails gives its code and status, and is counted as failed', async (t) => {
  const { host, stub, telemetry } = await start(t, {
    predict: async () => [{ rows: 1, error: new ServingError('MODEL_FAILED', 'the model failed on this input') }],
  });
  const answer = await post(host, '/predict', { features: ROW });
  assert.deepEqual([answer.status, answer.json().code], [500, 'MODEL_FAILED']);
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 0, failed: 1 }, 0]);
});

test('the model is held while its row runs, and released when the queue refuses the row', async (t) => {
  let held = 0;
  const { host, stub } = await start(t, {
    predict: async () => {
      held = stub.held();
      throw new ServingError('OVERLOADED', 'the queue is full', { retryAfter: 3 });
    },
  });
  const answer = await post(host, '/predict', { features: ROW });
  assert.deepEqual([answer.status, answer.headers.get('retry-after'), held, stub.held()], [429, '3', 1, 0]);
});

test('a request that comes while the model loads waits for it', async (t) => {
  const loaded = Promise.withResolvers<Generation>();
  const waits = Promise.withResolvers<void>();
  const whenLive = (): Promise<Generation> => {
    waits.resolve();
    return loaded.promise;
  };
  const main = { live: () => undefined, whenLive };
  const loading = { main, loaded: () => undefined } as unknown as GenerationStub['repository'];
  const { host, stub } = await start(t, {}, () => ({ repository: loading }));
  const answer = post(host, '/predict', { features: ROW });
  await waits.promise;
  loaded.resolve(stub.live);
  assert.equal((await answer).status, 200);
});

for (const path of ['/predict', '/models/m/predict', '/models/m/versions/1/predict']) {
  test(`POST ${path} is refused before its body has arrived if the queue refuses it, and the connection stays open`, async (t) => {
    const refuse = () => new ServingError('OVERLOADED', 'the queue is full', { retryAfter: 7 });
    const { host, stub } = await start(t, { refuse });
    const connection = connect(host);
    t.after(connection.destroy);
    connection.send(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n`);
    const { status, headers } = await connection.answer();
    assert.deepEqual([status, headers['retry-after'], headers.connection], [429, '7', 'keep-alive']);
    assert.deepEqual([stub.fed.length, stub.held()], [0, 0]);
  });
}

test('a large body is read in the thread, as features of this model, and a small one is not', async (t) => {
  const given: unknown[] = [];
  const readFeeds = async (bytes: Buffer, form: unknown, owner: Owner) => {
    given.push(bytes.length, form, typeof owner.res.end);
    return { tensors: [float32([1, 4], ROW)], rows: 1, isRow: true };
  };
  const { host, stub } = await start(t, {}, undefined, { readFeeds });
  assert.equal((await post(host, '/predict', { features: ROW })).status, 200);
  assert.deepEqual(given, []);
  const large = JSON.stringify({ features: ROW }).padEnd(65_536);
  assert.equal((await post(host, '/predict', large)).status, 200);
  assert.deepEqual(given, [65_536, stub.live.rows.form, 'function']);
});

test('a row of a joined run has its own outputs alone, also when another run has ended the joining meanwhile', async (t) => {
  const spec = tensorSpec('y', 'float32', -1, 1);
  let joinsRows = true;
  const stub = stubGeneration({ signature: { inputs: [{ ...spec, name: 'x' }], outputs: [spec] } });
  const live = Object.defineProperty({ ...stub.live }, 'joinsRows', { get: () => joinsRows }) as Generation;
  const predict = async ({ rows }: Feeds) => {
    joinsRows = false;
    Object.assign(live, { rows: { ...live.rows } });
    return [{ rows, outputs: [column(7, 8, 9)], first: 1 }];
  };
  Object.assign(live, { predict });
  const repository = { main: { live: () => live }, loaded: () => live } as unknown as GenerationStub['repository'];
  const { host } = await start(t, {}, () => ({ repository }));
  const { prediction, outputs } = (await post(host, '/predict', { features: [1] })).json();
  assert.deepEqual([prediction, outputs], [[8], { y: [8] }]);
});
