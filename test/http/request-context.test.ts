import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RequestContext, RequestState, sendJson, sendText } from '../../functions/http/request-context.ts';
import { serve } from '../helpers/serve.ts';

test('a response has its type, its id, and its length in bytes, whatever its characters', async (t) => {
  const texts = ['{"a":1}', '{"a":"å"}', '{"a":"日本 👩‍👩‍👧"}', ''];
  let next = 0;
  const { url } = await serve(t, (req, res) => {
    const context: RequestContext = {
      req,
      res,
      id: 'id-7',
      query: '',
      params: {},
      cancellation: new RequestState(res),
      startedAt: 0,
    };
    if (req.url === '/text') sendText(context, 201, 'text/plain; version=1', texts[next++]!);
    else sendJson(context, 200, texts[next++]!);
  });
  for (const text of texts) {
    const answer = await fetch(url);
    assert.deepEqual(
      ['content-type', 'x-request-id', 'content-length'].map((name) => answer.headers.get(name)),
      ['application/json', 'id-7', String(Buffer.byteLength(text))],
    );
    assert.equal(await answer.text(), text);
  }
  next = 2;
  const answer = await fetch(`${url}/text`);
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [201, 'text/plain; version=1']);
  assert.equal(await answer.text(), texts[2]);
});

test('a caller is gone once it has left before its answer, or once its deadline has passed', () => {
  const state = (res: { destroyed: boolean; writableEnded: boolean }, closed = false): RequestState =>
    new RequestState({ ...res, req: { socket: { destroyed: closed } } } as never);
  assert.equal(state({ destroyed: false, writableEnded: false }).cancelled, false);
  assert.equal(state({ destroyed: true, writableEnded: false }).cancelled, true);
  assert.equal(state({ destroyed: true, writableEnded: true }).cancelled, false, 'it has its answer');
  // The response of a request behind another one has no socket, and hears nothing of its end.
  assert.equal(state({ destroyed: false, writableEnded: false }, true).cancelled, true);
  const late = state({ destroyed: false, writableEnded: true });
  late.expired = true;
  assert.deepEqual([late.cancelled, late.left], [true, false]);
});
