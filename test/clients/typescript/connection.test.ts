import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from '../../../clients/typescript/src/client.ts';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';
import { type Fetch, possibleCause, sendsWhileItReads } from '../../../clients/typescript/src/connection.ts';

const refused = (): never => {
  throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
};
const answer = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
const good = (): Response => answer(200, { prediction: 1, outputs: {}, model: { name: 'm', version: '1' } });

/** Gives these answers in turn, the last of them for ever, and keeps what it was asked. */
function script(...answers: ((init: RequestInit) => Response | Promise<Response>)[]) {
  const asked: { url: string; init: RequestInit }[] = [];
  const fetch: Fetch = async (url, init) => {
    const next = answers[Math.min(asked.length, answers.length - 1)]!;
    asked.push({ url, init });
    return next(init);
  };
  return { asked, fetch };
}

const failure = async (call: Promise<unknown>): Promise<ClientError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ClientError, String(error));
  return error;
};

test('a call that finds no connection, or 429, 502 or 503, is repeated until it succeeds', async () => {
  const { asked, fetch } = script(
    refused,
    () => answer(429, ''),
    () => answer(502, '<html>'),
    () => answer(503, ''),
    good,
  );
  const client = createClient({ url: 'http://server/', fetch });
  assert.equal((await client.predict([1])).prediction, 1);
  assert.deepEqual(
    asked.map(({ url }) => url),
    new Array(5).fill('http://server/predict'),
  );
});

test('a repeat waits as long as Retry-After says, and a tenth more at most', async (t) => {
  const realTimeout = setTimeout;
  const waits: number[] = [];
  t.mock.method(globalThis, 'setTimeout', (done: () => void, ms: number) => {
    const isWait = ms < 10_000;
    if (isWait) waits.push(ms);
    return realTimeout(done, isWait ? 0 : ms);
  });
  const { asked, fetch } = script(() => answer(503, '', { 'retry-after': '1' }), good);
  await createClient({ url: 'http://server', fetch, timeoutMs: 60_000 }).predict([1]);
  assert.equal(asked.length, 2);
  assert.ok(waits.length === 1 && waits[0]! >= 1000 && waits[0]! <= 1100, String(waits));
});

test('a call whose response breaks off is repeated too', async () => {
  const broken = (): Response =>
    new Response(new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated')) }));
  const { asked, fetch } = script(broken, good);
  await createClient({ url: 'http://server', fetch }).predict([1]);
  assert.equal(asked.length, 2);
});

test('nothing else is repeated: the error has what the server said', async () => {
  const body = { error: 'features: expected 4 values', code: 'INVALID_INPUT', path: 'features', request_id: 'r1' };
  const { asked, fetch } = script(() => answer(400, body));
  const error = await failure(createClient({ url: 'http://server', fetch }).predict([1]));
  assert.deepEqual(
    { ...error },
    {
      code: 'INVALID_INPUT',
      status: 400,
      path: 'features',
      requestId: 'r1',
      retryAfter: undefined,
      name: 'ClientError',
    },
  );
  assert.equal(error.message, body.error);
  for (const status of [401, 404, 408, 413, 500, 504])
    await failure(createClient({ url: 'http://server', ...script(() => answer(status, '')) }).predict([1]));
  assert.equal(asked.length, 1);
});

test("another server's error page is shown by its start, and read no further than 64 KiB", async () => {
  let pulled = 0;
  const endless = (): Response => {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(16_384).fill(0x61));
      },
    });
    return new Response(body, { status: 500, headers: { 'x-request-id': 'r2' } });
  };
  const error = await failure(createClient({ url: 'http://server', fetch: script(endless).fetch }).predict([1]));
  assert.deepEqual([error.code, error.status, error.message, error.requestId], ['HTTP', 500, 'a'.repeat(300), 'r2']);
  assert.ok(pulled <= 6, `${pulled} pieces`);
});

test('an error page that breaks off is still an error of its status, and is not repeated', async () => {
  const broken = (): Response => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated')) });
    return new Response(body, { status: 400 });
  };
  const { asked, fetch } = script(broken);
  const error = await failure(createClient({ url: 'http://server', fetch }).predict([1]));
  assert.deepEqual([error.code, error.status, error.message, asked.length], ['HTTP', 400, 'status 400', 1]);
});

test('after `retries` repeats the last failure is thrown', async () => {
  const { asked, fetch } = script(refused);
  const error = await failure(createClient({ url: 'http://server', fetch, retries: 2 }).predict([1]));
  assert.deepEqual([error.code, error.status, asked.length], ['NETWORK', undefined, 3]);
  assert.equal(error.message, 'fetch failed: connect ECONNREFUSED');
});

test('a wait that would outlast timeoutMs is not begun: the failure comes at once, with its retryAfter', async () => {
  const { asked, fetch } = script(() => answer(503, { error: 'loading', code: 'NOT_READY' }, { 'retry-after': '30' }));
  const error = await failure(createClient({ url: 'http://server', fetch, timeoutMs: 10_000 }).predict([1]));
  assert.deepEqual([error.code, error.retryAfter, asked.length], ['NOT_READY', 30, 1]);
});

/** Never answers, but heeds the signal as fetch does. */
const silent = ({ signal }: RequestInit): Promise<Response> =>
  new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason));
  });

test('a server that does not answer is given up after timeoutMs', async () => {
  const client = createClient({ url: 'http://server', fetch: script(silent).fetch, timeoutMs: 20 });
  assert.equal((await failure(client.predict([1]))).code, 'TIMEOUT');
});

test('an abort rejects with its own reason, in a call and between two', async () => {
  const reason = new Error('the user left');
  const first = new AbortController();
  const calling = createClient({ url: 'http://server', fetch: script(silent).fetch, retries: 0 }).predict([1], {
    signal: first.signal,
  });
  first.abort(reason);
  await assert.rejects(calling, reason);
  const second = new AbortController();
  const busy = script(() => {
    queueMicrotask(() => second.abort(reason));
    return answer(503, '', { 'retry-after': '20' });
  });
  await assert.rejects(
    createClient({ url: 'http://server', fetch: busy.fetch }).predict([1], { signal: second.signal }),
    reason,
  );
  assert.equal(busy.asked.length, 1);
});

test('headers and a token are asked for at every attempt', async () => {
  let asks = 0;
  const { asked, fetch } = script(refused, good);
  const client = createClient({
    url: 'http://server',
    fetch,
    headers: { 'X-Team': 'a' },
    token: async () => `t${++asks}`,
  });
  await client.predict([1]);
  const sent = asked.map(({ init }) => Object.fromEntries(init.headers as Headers));
  assert.deepEqual(
    sent.map((headers) => [headers.authorization, headers['x-team'], headers['content-type']]),
    [
      ['Bearer t1', 'a', 'application/json'],
      ['Bearer t2', 'a', 'application/json'],
    ],
  );
});

test("the error of the token's function ends the call, and the function is not called again", async () => {
  let asks = 0;
  const token = (): never => {
    asks++;
    throw new Error('no credentials');
  };
  await assert.rejects(
    createClient({ url: 'http://server', fetch: script(good).fetch, token }).predict([1]),
    /no credentials/,
  );
  assert.equal(asks, 1);
});

test('a time limit longer than a timer can be set for is no time limit of a millisecond', async () => {
  const { fetch } = script(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return good();
  });
  const client = createClient({ url: 'http://h', fetch, timeoutMs: 2 ** 31 });
  assert.equal((await client.predict([1])).prediction, 1);
});

test('the time limit and the signal hold for the token as well, and what its function throws comes out', async () => {
  const { fetch } = script(good);
  const silent = createClient({ url: 'http://h', fetch, timeoutMs: 30, token: () => new Promise<string>(() => {}) });
  assert.equal((await failure(silent.predict([1]))).code, 'TIMEOUT');
  const token = (): Promise<string> => Promise.reject(new Error('no token today'));
  await assert.rejects(createClient({ url: 'http://h', fetch, token }).predict([1]), /no token today/);
});

test('Node and Deno send and read at once, browsers and Bun do not', () => {
  assert.equal(sendsWhileItReads(), true);
  assert.equal(sendsWhileItReads({ Deno: {} }), true);
  assert.equal(sendsWhileItReads({}), false);
  assert.equal(sendsWhileItReads({ process: { versions: { node: '22', bun: '1' } } }), false);
});

test('a failed request of a page of another origin names what a browser does not say', () => {
  const page = (origin: string) => ({ location: { origin, protocol: new URL(origin).protocol } });
  const server = 'https://server/base';
  assert.equal(possibleCause(server, {}), undefined);
  assert.equal(possibleCause(server, page('https://server')), undefined);
  assert.match(
    possibleCause(server, page('https://app')) ?? '',
    /https:\/\/server does not allow pages of https:\/\/app/,
  );
  assert.match(possibleCause('http://server', page('https://app')) ?? '', /http:\/\/server, which has no TLS$/);
});

test('the possible cause follows the message of fetch in the error', async (t) => {
  t.after(() => Reflect.deleteProperty(globalThis, 'location'));
  Object.defineProperty(globalThis, 'location', { configurable: true, value: new URL('https://app/page') });
  const { fetch } = script(() => Promise.reject(new TypeError('Failed to fetch')));
  const error = await failure(createClient({ url: 'https://server', fetch, retries: 0 }).predict([1]));
  assert.equal(error.code, 'NETWORK');
  assert.match(error.message, /^Failed to fetch: there is no connection, or .* CORS_ORIGINS must name$/);
});
