import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createApp } from '../../functions/app.ts';
import { readConfig } from '../../functions/config/settings.ts';
import { sha256 } from '../helpers/issuer.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { serve } from '../helpers/serve.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { until } from '../helpers/until.ts';

const ROW = [1, 2, 3, 4];
const rows = (count: number): number[][] => Array.from({ length: count }, () => ROW);
const tensor = (count: number) => ({ name: 'x', datatype: 'FP32', shape: [count, 4], data: rows(count).flat() });
const lines = (count: number): string => `${JSON.stringify({ features: ROW })}\n`.repeat(count);

/** A server on which each token has a quota of one row per second. */
async function start(t: TestContext, tokens: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'quotas-'));
  writeModel(folder, 'iris', identity(), { example: { features: ROW } });
  const file = join(folder, 'tokens.json');
  writeFileSync(file, JSON.stringify({ tokens: tokens.map((name) => ({ name, sha256: sha256(name) })) }));
  const env = { MODEL_URI: join(folder, 'iris'), PAGE: 'off', AUTH_TOKEN_FILE: file, AUTH_QUOTA: 'rows=1' };
  const vertex = { AIP_PREDICT_ROUTE: '/vertex:predict' };
  const { logger } = recordTelemetry();
  const app = createApp(readConfig({ ...env, ...vertex }), logger);
  t.after(async () => {
    await app.close();
    rmSync(folder, { recursive: true });
  });
  await app.model.whenLive();
  const { url } = await serve(t, app.handler);
  function send(token: string, path: string, body: object | string): Promise<Response> {
    const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': type };
    return fetch(url + path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) });
  }
  return { app, send };
}

const REQUESTS: [title: string, path: string, body: object | string, rows: number][] = [
  ['/predict', '/predict', { features: ROW }, 1],
  ['/batch_predict of JSON', '/batch_predict', { instances: rows(30) }, 30],
  ['/batch_predict of NDJSON', '/models/iris/batch_predict', lines(30), 30],
  ['TensorFlow Serving, by row', '/v1/models/iris:predict', { instances: rows(30) }, 30],
  ['TensorFlow Serving, by column', '/v1/models/iris:predict', { inputs: { x: rows(30) } }, 30],
  ['the Open Inference Protocol', '/v2/models/iris/infer', { inputs: [tensor(30)] }, 30],
  ['Vertex AI, instances', '/vertex:predict', { instances: rows(30) }, 30],
  ['Vertex AI, features', '/vertex:predict', { features: ROW }, 1],
  ['Vertex AI, tensors', '/vertex:predict', { inputs: [tensor(30)] }, 30],
];

test('the rows of every dialect are charged, once they are decoded', async (t) => {
  const { send } = await start(
    t,
    REQUESTS.map((_, i) => `token-${i}`),
  );
  for (const [i, [title, path, body, count]] of REQUESTS.entries()) {
    const token = `token-${i}`;
    const invalid = await send(token, path, { wrong: [] });
    await invalid.text();
    const served = await send(token, path, body);
    assert.equal(served.status, 200, `${title}: ${await served.clone().text()}`);
    await served.text();
    assert.equal(served.headers.get('ratelimit'), `"rows";r=0;t=${count}`, title);
    assert.equal(served.headers.get('ratelimit-policy'), '"rows";q=1;w=1;qu="rows"', title);
  }
});

test('a stream waits for its quota, and ends at once when the server drains', async (t) => {
  const { app, send } = await start(t, ['web']);
  // The first batch is within the quota. The next one waits for 64 seconds, and the one after it for as many more.
  const response = await send('web', '/batch_predict?batch_size=64', lines(256));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value!;
  assert.match(text, /^\{"index":0,"prediction"/);
  app.drain();
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  const all = text.trim().split('\n');
  assert.match(all.at(-1)!, /^\{"done":(true,"ok":256|false,"next_index":\d+,"code":"DRAINING")/);
  assert.doesNotMatch(text, /"error"/);
});

test('a stream whose client leaves while it waits for its quota stops waiting, and no longer holds the model', async (t) => {
  const { app, send } = await start(t, ['web']);
  const response = await send('web', '/batch_predict?batch_size=64', lines(256));
  const reader = response.body!.getReader();
  await reader.read();
  assert.equal(app.model.live()!.idle(), false);
  await reader.cancel();
  await until(() => app.model.live()!.idle(), 'the release of the model');
});

test('callers do not share a quota', async (t) => {
  const { send } = await start(t, ['first', 'second']);
  assert.equal((await send('first', '/predict', { features: ROW })).status, 200);
  assert.equal((await send('second', '/predict', { features: ROW })).status, 200);
  assert.equal((await send('first', '/v1/models/iris:predict', { instances: rows(9) })).status, 429);
});
