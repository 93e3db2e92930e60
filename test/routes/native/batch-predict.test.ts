import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import { ServingError } from '../../../functions/errors.ts';
import type { RequestContext } from '../../../functions/http/request-context.ts';
import type { BodyReader } from '../../../functions/routes/body-reader.ts';
import { type BatchPredictOptions, createBatchPredictRoutes } from '../../../functions/routes/native/batch-predict.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import { batch, type Json, linesOf, post } from '../../helpers/calls.ts';
import {
  countedRows,
  outcomeOf,
  type StubbedModel,
  stubGeneration,
  tensorSpec,
} from '../../helpers/generation-stub.ts';
import { mockTimers } from '../../helpers/mock-timers.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const spec = tensorSpec('y', 'float32', -1, 1);
const SIGNATURE = { inputs: [{ ...spec, name: 'x' }], outputs: [spec] };
const IDLE_MS = 1000;
const NDJSON = { 'content-type': 'application/x-ndjson' };

async function start(
  t: TestContext,
  model: Partial<StubbedModel> = {},
  options: Partial<BatchPredictOptions> = {},
  onRequest: (context: RequestContext) => void = () => {},
) {
  const telemetry = recordTelemetry();
  const stub = stubGeneration({ signature: SIGNATURE, ...model });
  const parser = { parse: (bytes: Buffer) => readJson(bytes) } as Partial<BodyReader> as BodyReader;
  const routes = createBatchPredictRoutes({
    repository: stub.repository,
    parser,
    metrics: telemetry.metrics,
    maxBodyBytes: 10_000,
    maxBatchSize: 64,
    idleMs: IDLE_MS,
    draining: new AbortController().signal,
    ...options,
  });
  const watched = routes.map((route) => ({
    ...route,
    handle(context: RequestContext, body: Parameters<typeof route.handle>[1]) {
      onRequest(context);
      return route.handle(context, body);
    },
  }));
  return { host: await serveOnly(t, watched, telemetry), stub, telemetry };
}

const row = (value: unknown) => ({ features: [value] });
const rows = (count: number) => Array.from({ length: count }, (_, i) => row(i));
const answerTo = (i: number, value = i): Json => ({ index: i, prediction: [value], outputs: { y: [value] } });

test('rows come back in their order, each with its index, and a last line that counts them', async (t) => {
  const { host, stub, telemetry } = await start(t);
  for (const [body, headers] of [
    [rows(3), {}],
    [{ instances: [[0], [1], [2]] }, {}],
    ['{"features":[0]}\n\n{"features":[1]}\r\n{"features":[2]}', NDJSON],
  ] as const) {
    const answer = await post(host, '/batch_predict', body, headers);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/x-ndjson']);
    assert.deepEqual(linesOf(answer), [answerTo(0), answerTo(1), answerTo(2), { done: true, ok: 3, failed: 0 }]);
  }
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 9, failed: 0 }, 0]);
});

test('a bad row fails alone, with the place that it has in what was sent', async (t) => {
  const { host, telemetry } = await start(t);
  const bad = [row(0), row('x'), { rows: 1 }, row(3)];
  const place = ({ index, error }: Json) => [index, error?.code, error?.path];
  const ndjson = linesOf(await batch(host, `${bad.map((one) => JSON.stringify(one)).join('\n')}\n{`));
  assert.deepEqual(ndjson.slice(0, -1).map(place), [
    [0, undefined, undefined],
    [1, 'INVALID_INPUT', 'features[0]'],
    [2, 'INVALID_INPUT', 'features'],
    [3, undefined, undefined],
    [4, 'INVALID_INPUT', undefined],
  ]);
  assert.deepEqual(ndjson.at(-1), { done: true, ok: 2, failed: 3 });
  const array = linesOf(await post(host, '/batch_predict', bad));
  assert.deepEqual(array.slice(1, 3).map(place), [
    [1, 'INVALID_INPUT', '[1].features[0]'],
    [2, 'INVALID_INPUT', '[2].features'],
  ]);
  const instances = linesOf(await post(host, '/batch_predict', { instances: [[0], ['x']] }));
  assert.deepEqual(place(instances[1]), [1, 'INVALID_INPUT', 'instances[1][0]']);
  assert.deepEqual(countedRows(telemetry), { ok: 5, failed: 6 });
});

test('a run has as many rows as batch_size says, 32 without it, and never more than the server allows', async (t) => {
  const { host, stub } = await start(t);
  for (const [query, sizes] of [
    ['?batch_size=30', [30, 30, 10]],
    ['', [32, 32, 6]],
    ['?batch_size=4096', [64, 6]],
    ['?batch_size=1&other=x', new Array(70).fill(1)],
  ] as const) {
    stub.fed.length = 0;
    await batch(host, rows(70), query);
    assert.deepEqual(
      stub.fed.map((feeds) => feeds.rows),
      sizes,
    );
  }
});

test('a batch_size that is no whole number from 1 to 4096 is refused before any row is read', async (t) => {
  const { host, stub } = await start(t);
  for (const size of ['0', '4097', '-1', '1.5', '1e2', '', 'x']) {
    const answer = await batch(host, rows(1), `?batch_size=${size}`);
    assert.deepEqual(
      [answer.status, answer.json().code, answer.json().path],
      [400, 'INVALID_INPUT', 'batch_size'],
      size,
    );
  }
  assert.equal(stub.fed.length, 0);
});

test('the response is one array if the client prefers JSON, and NDJSON otherwise', async (t) => {
  const { host } = await start(t);
  for (const [accept, type] of [
    ['application/json', 'application/json'],
    ['application/json;q=0.9, application/x-ndjson;q=0.8', 'application/json'],
    ['application/json, application/x-ndjson', 'application/x-ndjson'],
    ['application/x-ndjson', 'application/x-ndjson'],
    ['*/*', 'application/x-ndjson'],
    ['text/html', 'application/x-ndjson'],
  ] as const) {
    const answer = await post(host, '/batch_predict', rows(2), { accept });
    assert.equal(answer.headers.get('content-type'), type, accept);
    if (type === 'application/json') assert.deepEqual(answer.json(), [answerTo(0), answerTo(1)]);
  }
  const none = await post(host, '/batch_predict', '[]', { accept: 'application/json' });
  assert.deepEqual(none.json(), []);
  assert.deepEqual(linesOf(await post(host, '/batch_predict', '[]')), [{ done: true, ok: 0, failed: 0 }]);
});

test('a body without rows is one error with a status', async (t) => {
  const { host, stub } = await start(t);
  for (const [body, headers, status] of [
    ['{"features":[1]}', {}, 400],
    ['[', {}, 400],
    ['1', { 'content-type': 'text/csv' }, 415],
    [`[${' '.repeat(10_000)}]`, {}, 413],
  ] as const) {
    assert.equal((await post(host, '/batch_predict', body, headers)).status, status, body.slice(0, 20));
  }
  assert.equal((await batch({ url: `${host.url}/models/n` }, rows(1))).status, 404);
  assert.equal(stub.held(), 0);
});

test('a line longer than a body may be fails alone', async (t) => {
  const { host } = await start(t);
  const long = `{"features":[0${' '.repeat(10_000)}]}`;
  const [first, second, last] = linesOf(await batch(host, `${long}\n{"features":[1]}\n`));
  assert.deepEqual([first.index, first.error.code], [0, 'TOO_LARGE']);
  assert.deepEqual([second, last], [answerTo(1), { done: true, ok: 1, failed: 1 }]);
});

/** A stream that is open: its first row is answered, and more may be sent. */
async function openStream(t: TestContext, host: { port: number }, headers: Record<string, string> = {}) {
  const connection = connect(host);
  t.after(() => connection.destroy());
  const head = { ...NDJSON, ...headers, 'content-length': undefined, 'transfer-encoding': 'chunked' };
  const sendRow = (value: number): void => {
    const line = `{"features":[${value}]}\n`;
    connection.send(`${line.length.toString(16)}\r\n${line}\r\n`);
  };
  connection.send(postText('/batch_predict', '', head));
  sendRow(7);
  await connection.text('"prediction":[7],"outputs":{"y":[7]}}');
  return { ...connection, sendRow };
}

for (const [title, code] of [
  ['a server that drains', 'DRAINING'],
  ['a model that has been replaced', 'MODEL_CHANGED'],
] as const) {
  test(`${title} ends a stream after the rows that were answered, and says from which one to send again`, async (t) => {
    const end = new AbortController();
    const isDraining = code === 'DRAINING';
    const { host, stub, telemetry } = await start(
      t,
      isDraining ? {} : { superseded: end.signal },
      isDraining ? { draining: end.signal } : {},
    );
    const stream = await openStream(t, host);
    assert.equal(stub.held(), 1);
    end.abort();
    const last = JSON.parse(/\{"done".*\}/.exec(await stream.text('}\n'))![0]);
    assert.deepEqual([last.done, last.next_index, last.code], [false, 1, code]);
    assert.match(last.message, /send the rest again$/);
    await stub.released;
    assert.deepEqual(countedRows(telemetry), { ok: 1, failed: 0 });
  });
}

test('rows that arrive while the server drains are not run, and the response says so', async (t) => {
  const { host, stub } = await start(t, {}, { draining: AbortSignal.abort() });
  assert.deepEqual(linesOf(await batch(host, rows(3))), [
    { done: false, next_index: 0, code: 'DRAINING', message: 'the server is shutting down: send the rest again' },
  ]);
  const array = await post(host, '/batch_predict', rows(3), { accept: 'application/json' });
  assert.deepEqual(
    array.json().map(({ done, next_index }: Json) => [done, next_index]),
    [[false, 0]],
  );
  assert.equal(stub.fed.length, 0);
});

test('a stream that is idle for too long is ended, and says from which row to send again', async (t) => {
  const pass = mockTimers(t);
  const sockets: Socket[] = [];
  const { host, stub } = await start(t, {}, {}, ({ req }) => sockets.push(req.socket));
  const stream = await openStream(t, host);
  pass(IDLE_MS - 1);
  stream.sendRow(8);
  await stream.text('"y":[8]}}');
  pass(IDLE_MS - 1);
  assert.equal(stub.held(), 1);
  pass(1);
  const last = JSON.parse(/\{"done".*\}/.exec(await stream.text('}\n'))![0]);
  assert.deepEqual(last, {
    done: false,
    next_index: 2,
    code: 'IDLE',
    message: `nothing was sent for ${IDLE_MS} ms`,
  });
  await stub.released;
  // Its client neither reads on nor closes: the connection is cut once nothing has moved for an idle time.
  assert.equal(sockets[0]!.destroyed, false);
  for (let times = 0; times < 2; times++) pass(IDLE_MS);
  assert.equal(sockets[0]!.destroyed, true);
});

test('the time until a stream is idle starts again when its rows are answered', async (t) => {
  const pass = mockTimers(t);
  const run = Promise.withResolvers<void>();
  const running = Promise.withResolvers<void>();
  const predict = async (feeds: Feeds) => {
    if (feeds.tensors[0]!.data[0] === 8) {
      running.resolve();
      await run.promise;
    }
    return outcomeOf(feeds);
  };
  const { host } = await start(t, { predict });
  const stream = await openStream(t, host);
  stream.sendRow(8);
  await running.promise;
  pass(IDLE_MS - 1);
  run.resolve();
  await stream.text('"y":[8]}}');
  pass(IDLE_MS - 1);
  stream.sendRow(9);
  await stream.text('"y":[9]}}');
});

test('a stream whose response is not read is ended, however much its client sends', async (t) => {
  const pass = mockTimers(t);
  const blocked = Promise.withResolvers<void>();
  // The socket takes nothing, and says so.
  const block = ({ res }: RequestContext): void => {
    res.write = () => {
      blocked.resolve();
      return false;
    };
  };
  const { host, stub, telemetry } = await start(t, {}, {}, block);
  const answer = batch(host, rows(3), '?batch_size=1');
  await blocked.promise;
  pass(IDLE_MS);
  const [{ done, next_index, code, message }] = linesOf(await answer);
  assert.deepEqual([done, next_index, code], [false, 1, 'IDLE']);
  assert.match(message, /^the response was not read for 1000 ms/);
  await stub.released;
  assert.deepEqual(countedRows(telemetry), { ok: 1, failed: 0 });
});

test('time that the model takes does not count as idle', async (t) => {
  const pass = mockTimers(t);
  const running = Promise.withResolvers<void>();
  const run = Promise.withResolvers<void>();
  const predict = async (feeds: Feeds) => {
    running.resolve();
    await run.promise;
    return outcomeOf(feeds);
  };
  const { host } = await start(t, { predict });
  const answer = batch(host, rows(1));
  await running.promise;
  pass(5 * IDLE_MS);
  run.resolve();
  assert.deepEqual(linesOf(await answer), [answerTo(0), { done: true, ok: 1, failed: 0 }]);
});

test('when a client leaves in the middle of its rows the model is released, and the rows that it got are counted', async (t) => {
  const { host, stub, telemetry } = await start(t);
  const stream = await openStream(t, host);
  stream.destroy();
  await stub.released;
  assert.deepEqual(countedRows(telemetry), { ok: 1, failed: 0 });
});

test('a failure of the model in one row is logged, although the response is a 200', async (t) => {
  const failed = new ServingError('MODEL_FAILED', 'the model failed on this input');
  const predict = async (feeds: Feeds) =>
    feeds.tensors[0]!.data[0] === 1 ? [{ rows: feeds.rows, error: failed }] : outcomeOf(feeds);
  const { host, telemetry } = await start(t, { predict });
  const answer = await batch(host, rows(3), '?batch_size=1');
  assert.equal(answer.status, 200);
  assert.deepEqual(
    linesOf(answer).map(({ error, done }) => error?.code ?? done),
    [undefined, 'MODEL_FAILED', undefined, true],
  );
  assert.deepEqual(
    telemetry.requests.map(({ status, code }) => [status, code]),
    [[200, 'MODEL_FAILED']],
  );
  telemetry.requests.length = 0;
  await batch(host, [row('x')]);
  assert.deepEqual(telemetry.requests, [], 'a mistake of the caller is not a fault');
});
