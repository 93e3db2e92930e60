import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { ADMIN, type Caller } from '../../functions/access/caller.ts';
import { Quota, type QuotaLimits } from '../../functions/access/quota.ts';
import { chargeRows, delayRows, startRequest } from '../../functions/http/quota.ts';
import { type RequestContext, sendJson } from '../../functions/http/request-context.ts';
import { serveRoutes } from '../helpers/serve.ts';

/** A clock that stands still. */
const quotaOf = (limits: QuotaLimits): Quota => new Quota(limits, () => 0);
const callerOf = (limits: QuotaLimits): Caller => ({ ...ADMIN, name: 'web', quota: quotaOf(limits) });

/** A server with one caller; each request is one row. */
async function serveCaller(t: TestContext, caller: Caller, handle?: (context: RequestContext) => Promise<void>) {
  async function predict(context: RequestContext): Promise<void> {
    chargeRows(context, 3);
    await handle?.(context);
    sendJson(context, 200, '{}');
  }
  return serveRoutes(t, predict, {
    authorize(context) {
      context.caller = caller;
      startRequest(context, caller.quota!);
    },
  });
}

const fields = ({ headers }: Response): (string | null)[] =>
  ['ratelimit-policy', 'ratelimit', 'retry-after'].map((name) => headers.get(name));

test('each response has the limits and what is left of them; beyond them it is 429 with Retry-After', async (t) => {
  const { url, requests, lines } = await serveCaller(t, callerOf({ requests: 2, rows: 100 }));
  const policy = '"requests";q=2;w=1, "rows";q=100;w=1;qu="rows"';
  assert.deepEqual(fields(await fetch(`${url}/read`)), [policy, '"requests";r=1;t=1, "rows";r=97;t=1', null]);
  assert.deepEqual(fields(await fetch(`${url}/read`)), [policy, '"requests";r=0;t=1, "rows";r=94;t=1', null]);
  const refused = await fetch(`${url}/read`);
  assert.equal(refused.status, 429);
  assert.deepEqual(fields(refused), [policy, '"requests";r=0;t=1, "rows";r=94;t=1', '1']);
  const { code, error } = (await refused.json()) as { code: string; error: string };
  assert.deepEqual([code, error], ['QUOTA_EXCEEDED', 'the quota of this caller is 2 requests per second']);
  for (let i = 0; i < 5; i++) await fetch(`${url}/read`);
  assert.deepEqual(requests, [], 'a caller may repeat them by the thousand');
  assert.deepEqual(
    lines.map(({ fields }) => fields),
    [{ code: 'QUOTA_EXCEEDED', caller: 'web', count: 1 }],
  );
});

test('rows are charged when they are decoded, and the response says what is left', async (t) => {
  const { url } = await serveCaller(t, callerOf({ rows: 4 }));
  assert.deepEqual(fields(await fetch(`${url}/read`)), ['"rows";q=4;w=1;qu="rows"', '"rows";r=1;t=1', null]);
  assert.deepEqual(fields(await fetch(`${url}/read`)), ['"rows";q=4;w=1;qu="rows"', '"rows";r=0;t=2', null]);
  assert.equal((await fetch(`${url}/read`)).status, 429);
});

test('a request counts until its response is closed, also when its client leaves', async (t) => {
  const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const closed = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  let handled = 0;
  const { url } = await serveCaller(t, callerOf({ concurrency: 2 }), async ({ res }) => {
    if (handled === 0) res.once('close', () => closed.resolve());
    arrived[handled++]!.resolve();
    await go.promise;
  });
  const leaving = new AbortController();
  const left = fetch(`${url}/read`, { signal: leaving.signal });
  left.catch(() => {});
  await arrived[0]!.promise;
  const second = fetch(`${url}/read`);
  await arrived[1]!.promise;
  assert.equal((await fetch(`${url}/read`)).status, 429);
  leaving.abort();
  await closed.promise;
  const third = fetch(`${url}/read`);
  await arrived[2]!.promise;
  go.resolve();
  assert.deepEqual([(await second).status, (await third).status], [200, 200]);
});

test('rows of a stream wait for their turn, or until the stream has ended', async () => {
  const caller = callerOf({ rows: 10 });
  const ended = new AbortController();
  assert.equal(delayRows({ caller }, 1000, ended.signal), undefined);
  const waiting = delayRows({ caller }, 10, ended.signal);
  assert.ok(waiting instanceof Promise);
  ended.abort();
  await waiting;
});

test('without a caller, and without a quota, nothing is counted and no field is sent', async (t) => {
  chargeRows({}, 1e9);
  chargeRows({ caller: ADMIN }, 1e9);
  chargeRows({ caller: callerOf({ requests: 1 }) }, 1e9);
  assert.equal(delayRows({}, 1e9, AbortSignal.abort()), undefined);
  const { url } = await serveRoutes(t);
  assert.deepEqual(fields(await fetch(`${url}/read`)), [null, null, null]);
});

test('a request whose response is closed already is not counted', () => {
  const quota = quotaOf({ concurrency: 1 });
  const res = { closed: true } as ServerResponse;
  for (let i = 0; i < 3; i++) startRequest({ res }, quota);
});
