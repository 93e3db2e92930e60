import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTarget, type Target } from '../../../../functions/cli/loadtest/http/target.ts';
import { type Asking, describeLive } from '../../../../functions/cli/loadtest/requests/live-model.ts';
import { serveDescribed } from '../../../helpers/described-server.ts';
import { serve } from '../../../helpers/serve.ts';

const asking = (url: string): Asking => ({
  target: readTarget(url) as Target,
  headers: { Authorization: 'Bearer abc' },
  timeoutMs: 10_000,
  readyMs: 0,
});

test('a server of this project describes the model behind /predict: signature, names, example, golden rows, route of Vertex AI', async (t) => {
  const { url, described } = await serveDescribed(t);
  const live = await describeLive(asking(url), undefined);
  assert.deepEqual([live.name, live.version, live.vertexPath], ['iris', '1', '/vertex/predict']);
  assert.deepEqual(live.form.names, ['a', 'b', 'c', 'd']);
  assert.deepEqual(live.form.signature.inputs, [{ name: 'features', dtype: 'float32', shape: [-1, 4] }]);
  assert.equal(live.golden.length, 1);
  assert.ok(described.every(({ headers }) => headers.authorization === 'Bearer abc'));
});

test('a model that is loading is awaited', async (t) => {
  let requests = 0;
  const { url } = await serve(t, (req, res) => {
    requests += 1;
    if (req.url !== '/ready') res.writeHead(404).end();
    else if (requests < 3) res.writeHead(503).end('loading');
    else res.end('{"status":"ready","model":{"name":"iris"}}');
  });
  await assert.rejects(describeLive({ ...asking(url), readyMs: 60_000 }, undefined), /\/v2\/models\/iris returned 404/);
});

test('another server describes its model by the Open Inference Protocol', async (t) => {
  const inputs = [{ name: 'x', datatype: 'FP16', shape: [-1, 2] }];
  const { url } = await serveDescribed(t, undefined, { '/v2/models/resnet': { name: 'resnet', inputs, outputs: [] } });
  const { form, example } = await describeLive(asking(url), 'resnet');
  assert.deepEqual(form.signature.inputs, [{ name: 'x', dtype: 'float16', shape: [-1, 2] }]);
  assert.equal(example, undefined);
});

for (const [status, body, message] of [
  [
    401,
    '{"error":"no token"}',
    /\/ready returned 401: \{"error":"no token"\}; give a token with --token-file, or with --identity-token/,
  ],
  [302, '', /\/ready returned 302; redirects are not followed: give the URL/],
  [503, 'loading', /\/ready returned 503: loading$/],
  [200, '<html>', /\/ready: expected "status": "ready" with the model, got "<html>"/],
  [404, '', /\/ready does not name a model: give its name with --model, or the body of the requests with --body/],
] as const) {
  test(`a server whose /ready is ${status} ${body} is refused with what to do`, async (t) => {
    const { url } = await serve(
      t,
      (_, res) => void res.writeHead(status, { Location: 'http://example.com' }).end(body),
    );
    await assert.rejects(describeLive(asking(url), undefined), message);
  });
}
