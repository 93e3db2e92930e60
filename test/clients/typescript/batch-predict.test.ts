import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BatchOptions, ClientError, createClient } from '../../../clients/typescript/src/client.ts';
import { echo, type RowHandler as Handler, inTurn, whole, written } from '../../helpers/row-answers.ts';
import { serve } from '../../helpers/serve.ts';

async function client(t: Parameters<typeof serve>[0], handlers: readonly Handler[], retries = 3, timeoutMs = 10_000) {
  const asked: { handled: number } = { handled: 0 };
  const { url } = await serve(
    t,
    inTurn(handlers, () => asked.handled++),
  );
  const made = createClient<number>({ url, retries, timeoutMs });
  return {
    asked,
    batch: (rows: Iterable<unknown> | AsyncIterable<unknown>, options?: BatchOptions) =>
      made.batchPredict(rows, options),
  };
}

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const row of rows) list.push(row);
  return list;
}

async function* upTo(count: number): AsyncGenerator<number[]> {
  for (let i = 0; i < count; i++) yield [i];
}

async function check(
  rows: AsyncIterable<{ index: number; prediction?: number | undefined }>,
  count: number,
): Promise<void> {
  let next = 0;
  for await (const { index, prediction } of rows) {
    assert.deepEqual([index, prediction], [next, next * 10]);
    next++;
  }
  assert.equal(next, count);
}

for (const duplex of [true, false]) {
  test(`every row is answered once and in order, however often the server stops (duplex: ${duplex})`, async (t) => {
    const handlers = [echo(100, 'DRAINING'), echo(1, 'MODEL_CHANGED'), echo(0, 'IDLE'), echo(70), echo()];
    const { batch, asked } = await client(t, handlers);
    await check(batch(upTo(500), { duplex }), 500);
    assert.ok(asked.handled >= 5);
  });

  test(`a window of one row is enough (duplex: ${duplex})`, async (t) => {
    const { batch } = await client(t, [echo()]);
    await check(batch([[0], [1], [2]], { duplex, maxUnanswered: 1 }), 3);
  });
}

test('where a body is read to its end before it is answered, each window becomes a request', async (t) => {
  /** Whether the length of each body was known when it was sent. */
  const streamed: boolean[] = [];
  const noting: Handler = (lines, res, req) => {
    streamed.push(req.headers['content-length'] === undefined);
    return whole(lines, res, req);
  };
  const { batch, asked } = await client(t, [noting]);
  await check(batch(upTo(500), { duplex: true, maxUnanswered: 100 }), 500);
  assert.deepEqual(streamed, [true, ...streamed.slice(1).fill(false)], 'the first request shows it for all after it');
  assert.ok(asked.handled >= 5 && asked.handled <= 10, `${asked.handled} requests`);
});

test('503 with Retry-After is waited out', async (t) => {
  const busy: Handler = async (_, res) => void res.writeHead(503, { 'Retry-After': '0' }).end('{"error":"busy"}');
  const { batch, asked } = await client(t, [busy, busy, echo()]);
  await check(batch(upTo(3)), 3);
  assert.equal(asked.handled, 3);
});

test('a server that never gets anywhere is given up after `retries` repeats, one that refuses at once', async (t) => {
  const { batch, asked } = await client(t, [echo(0, 'DRAINING')], 2);
  await assert.rejects(
    all(batch(upTo(3))),
    (error: unknown) => error instanceof ClientError && error.code === 'DRAINING',
  );
  assert.equal(asked.handled, 3);
  const refuse: Handler = async (_, res) => void res.writeHead(400).end('{"error":"no","code":"INVALID_INPUT"}');
  const refusing = await client(t, [refuse]);
  await assert.rejects(
    all(refusing.batch(upTo(3))),
    (error: unknown) => error instanceof ClientError && error.code === 'INVALID_INPUT',
  );
  assert.equal(refusing.asked.handled, 1);
});

test('a result of a row that was not sent, of the wrong row, or of no row is a BAD_ANSWER', async (t) => {
  const says =
    (text: string): Handler =>
    async (lines, res) => {
      for await (const _ of lines) break;
      res.end(text);
    };
  for (const text of [
    written(1, 1),
    written(0, 0) + written(1, 1),
    '{"done":true,"ok":0,"failed":0}\n',
    'x\n',
    '5\n',
    '{}\n',
  ]) {
    const { batch } = await client(t, [says(text)]);
    await assert.rejects(
      all(batch([[0]])),
      (error: unknown) => error instanceof ClientError && error.code === 'BAD_ANSWER',
      text,
    );
  }
});

test("a row's own error is its result, and the other rows continue", async (t) => {
  const failing: Handler = async (lines, res) => {
    for await (const _ of lines) res.write('{"index":0,"error":{"message":"bad","code":"INVALID_INPUT"}}\n');
    res.end('{"done":true,"ok":0,"failed":1}\n');
  };
  const { batch } = await client(t, [failing]);
  const [row] = await all(batch([['x']]));
  assert.deepEqual(row, { index: 0, error: { message: 'bad', code: 'INVALID_INPUT' } });
});

test('rows are read no further ahead than the window while no results are consumed', async (t) => {
  const { batch } = await client(t, [echo()]);
  let read = 0;
  async function* rows() {
    for (;;) yield [read++];
  }
  for await (const { index } of batch(rows(), { maxUnanswered: 50 })) {
    // One more is read before the window is found full.
    assert.ok(read <= index + 1 + 51, `row ${index}: ${read} read`);
    if (index === 500) break;
  }
});

const noticing =
  (onClose: () => void): Handler =>
  (lines, res, req) => {
    req.once('close', onClose);
    return echo()(lines, res, req);
  };

test("leaving the loop ends the request, and returns the source's iterator", async (t) => {
  const ended = Promise.withResolvers<void>();
  const { batch } = await client(t, [noticing(ended.resolve)]);
  let returned = false;
  async function* rows() {
    try {
      for (;;) yield [0];
    } finally {
      returned = true;
    }
  }
  for await (const _ of batch(rows())) break;
  await ended.promise;
  assert.ok(returned);
});

test('an abort rejects with its reason, also while the source is waited for', async (t) => {
  const { batch } = await client(t, [echo()]);
  const reason = new Error('the user left');
  const controller = new AbortController();
  async function* rows() {
    yield [0];
    await new Promise(() => {});
  }
  const results = batch(rows(), { signal: controller.signal });
  assert.equal((await results.next()).value?.index, 0);
  const next = results.next();
  controller.abort(reason);
  await assert.rejects(next, reason);
});

test('nothing is read where the signal was aborted before', async (t) => {
  const { batch, asked } = await client(t, [echo()]);
  let read = 0;
  function* rows() {
    for (;;) yield [read++];
  }
  const reason = new Error('too late');
  await assert.rejects(batch(rows(), { signal: AbortSignal.abort(reason) }).next(), reason);
  assert.deepEqual([read, asked.handled], [0, 0]);
});

test('the error of the source is thrown after the results of the rows before it', async (t) => {
  const { batch } = await client(t, [echo()]);
  async function* rows() {
    yield [0];
    yield [1];
    throw new Error('the file is broken');
  }
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const { index } of batch(rows())) seen.push(index);
  }, /the file is broken/);
  assert.deepEqual(seen, [0, 1]);
});

test('no request is made for no rows', async (t) => {
  const { batch, asked } = await client(t, [echo()]);
  assert.deepEqual(await all(batch([])), []);
  assert.equal(asked.handled, 0);
});

test('a row that is not answered within timeoutMs ends it, but not a source or a reader that takes longer', async (t) => {
  const silent: Handler = async () => {};
  const hanging = await client(t, [silent], 0, 50);
  await assert.rejects(
    all(hanging.batch([[0]])),
    (error: unknown) => error instanceof ClientError && error.code === 'TIMEOUT',
  );

  const { batch } = await client(t, [echo()], 0, 50);
  const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 120));
  async function* slow() {
    yield [0];
    await later();
    yield [1];
  }
  await check(batch(slow()), 2);
  let next = 0;
  // The second row is sent and answered, and waits to be taken.
  for await (const { index } of batch([[0], [1]])) {
    assert.equal(index, next++);
    await later();
  }
  assert.equal(next, 2);
});
