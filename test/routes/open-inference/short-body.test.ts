import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendJson } from '../../../functions/http/request-context.ts';
import type { BufferedRoute } from '../../../functions/http/router.ts';
import { readShortBody, SHORT_BODY } from '../../../functions/routes/open-inference/short-body.ts';
import { post } from '../../helpers/calls.ts';
import { serveOnly } from '../../helpers/route-host.ts';

test('a request without a body is an empty object: clients of Triton send none', () => {
  assert.deepEqual(readShortBody(Buffer.alloc(0)), {});
  assert.deepEqual({ ...readShortBody(Buffer.from('{"ready":true}')) }, { ready: true });
});

test('a body that is no object, or no JSON, is refused', () => {
  for (const text of ['null', '[]', '[1]', '1', '"x"', 'true']) {
    assert.throws(() => readShortBody(Buffer.from(text)), {
      code: 'INVALID_INPUT',
      path: undefined,
      message: /^the body: expected an object, or none, got /,
    });
  }
  for (const text of ['{', '{"a":1}x', ' ', 'a=1']) {
    assert.throws(() => readShortBody(Buffer.from(text)), { code: 'INVALID_INPUT' });
  }
});

test('a short body has at most 64 KiB, of any content type', async (t) => {
  const route: BufferedRoute = {
    method: 'POST',
    path: '/short',
    body: SHORT_BODY,
    handle: (context, body) => sendJson(context, 200, String(Object.keys(readShortBody(body)).length)),
  };
  const host = await serveOnly(t, [route]);
  const ofBytes = (bytes: number): string => `{"a":"${'x'.repeat(bytes - 8)}"}`;
  const type = { 'content-type': 'text/plain' };
  const most = await post(host, '/short', ofBytes(65_536), type);
  assert.deepEqual([most.status, most.text], [200, '1']);
  assert.equal((await post(host, '/short', ofBytes(65_537), type)).status, 413);
});
