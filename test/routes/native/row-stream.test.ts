import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ServingError } from '../../../functions/errors.ts';
import type { RowResult } from '../../../functions/routes/native/row-batch.ts';
import {
  createRowStream,
  JSON_ARRAY,
  NDJSON,
  type RowStreamOptions,
} from '../../../functions/routes/native/row-stream.ts';

/** A row whose outcome comes when the test says so; its prediction is its name. */
function pendingRow(name: string) {
  const { promise, resolve } = Promise.withResolvers<RowResult>();
  return {
    row: promise,
    answer: () => resolve({ text: `"prediction":"${name}"` }),
    fail: (error: Error) => resolve({ error: error as ServingError }),
  };
}

/** A stream whose sent texts are kept; `block` makes the client take no more until `unblock`. */
function setUp(options: Partial<RowStreamOptions> = {}) {
  const sent: string[] = [];
  let blocked: PromiseWithResolvers<void> | undefined;
  const stream = createRowStream({
    framing: NDJSON,
    batchesInFlight: 3,
    send(text) {
      sent.push(text);
      return blocked?.promise;
    },
    ...options,
  });
  return {
    stream,
    sent,
    block: () => {
      blocked = Promise.withResolvers();
    },
    unblock: () => {
      blocked?.resolve();
      blocked = undefined;
    },
  };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

test('rows are answered in the order in which they were put, whichever is done first', async () => {
  const { stream, sent } = setUp();
  const rows = ['a', 'b', 'c'].map(pendingRow);
  stream.put(Promise.all([rows[0]!.row, rows[1]!.row]));
  stream.put(Promise.all([rows[2]!.row]));
  rows[2]!.answer();
  rows[1]!.answer();
  await settle();
  assert.deepEqual([sent, stream.pending()], [[], 2]);
  rows[0]!.answer();
  await stream.finish();
  assert.equal(
    sent.join(''),
    '{"index":0,"prediction":"a"}\n{"index":1,"prediction":"b"}\n{"index":2,"prediction":"c"}',
  );
  assert.equal(sent.length, 2, 'a text a batch');
  assert.deepEqual([stream.pending(), stream.counts()], [0, { ok: 3, failed: 0 }]);
});

test('a bad row fails alone, in its place, with what the caller may see of the error', async () => {
  const { stream, sent } = setUp();
  const [good, bad] = [pendingRow('a'), pendingRow('b')];
  const refused = { error: new ServingError('INVALID_INPUT', 'features[1]: no', { path: 'features[1]' }) };
  stream.put(Promise.all([refused, good.row, bad.row]));
  good.answer();
  bad.fail(new TypeError('secret'));
  await stream.finish();
  assert.deepEqual(
    sent
      .join('')
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { index: 0, error: { message: 'features[1]: no', code: 'INVALID_INPUT', path: 'features[1]' } },
      { index: 1, prediction: 'a' },
      { index: 2, error: { message: 'internal error; the log has it under the request id', code: 'INTERNAL' } },
    ],
  );
  assert.deepEqual(stream.counts(), { ok: 1, failed: 2 });
});

test('no more batches are taken than may be in flight, until one has been answered', async () => {
  const { stream } = setUp({ batchesInFlight: 3 });
  const rows = ['a', 'b', 'c', 'd'].map(pendingRow);
  assert.equal(stream.put(Promise.all([rows[0]!.row])), undefined);
  assert.equal(stream.put(Promise.all([rows[1]!.row])), undefined);
  let room = false;
  const third = stream.put(Promise.all([rows[2]!.row]))!.then(() => {
    room = true;
  });
  rows[1]!.answer();
  await settle();
  assert.equal(room, false, 'the second batch is done, but is not answered yet');
  rows[0]!.answer();
  await third;
  assert.equal(stream.pending() < 3, true);
  for (const row of rows) row.answer();
  await stream.finish();
});

test('a client that does not read holds the rows back', async () => {
  const { stream, sent, block, unblock } = setUp({ batchesInFlight: 2 });
  block();
  const rows = ['a', 'b', 'c'].map(pendingRow);
  for (const row of rows) row.answer();
  stream.put(Promise.all([rows[0]!.row]));
  let room = false;
  const second = stream.put(Promise.all([rows[1]!.row]))!.then(() => {
    room = true;
  });
  await settle();
  assert.deepEqual([sent.length, room, stream.pending()], [1, false, 2]);
  unblock();
  await second;
  stream.put(Promise.all([rows[2]!.row]));
  await stream.finish();
  assert.equal(sent.length, 3);
});

test('an abandoned stream sends nothing more, counts what it sent, and settles pending puts', async () => {
  const { stream, sent } = setUp({ batchesInFlight: 2 });
  const rows = ['a', 'b', 'c'].map(pendingRow);
  stream.put(Promise.all([rows[0]!.row]));
  rows[0]!.answer();
  await settle();
  stream.put(Promise.all([rows[1]!.row]));
  const waiting = stream.put(Promise.all([rows[2]!.row]));
  stream.abandon();
  await waiting;
  rows[1]!.answer();
  rows[2]!.answer();
  await stream.finish();
  assert.equal(sent.length, 1);
  assert.deepEqual(stream.counts(), { ok: 1, failed: 0 });
});

test('what is put after the stream has stood still is answered, too', async () => {
  const { stream, sent } = setUp();
  for (const name of ['a', 'b']) {
    const row = pendingRow(name);
    row.answer();
    stream.put(Promise.all([row.row]));
    await stream.finish();
  }
  assert.equal(sent.join(''), '{"index":0,"prediction":"a"}\n{"index":1,"prediction":"b"}');
});

const SUMMARIES = [
  { title: 'an array', framing: JSON_ARRAY, done: '', stopped: true },
  { title: 'NDJSON', framing: NDJSON, done: '{"done":true,"ok":2,"failed":1}', stopped: true },
];

for (const { title, framing, done } of SUMMARIES) {
  test(`the rows as ${title} can be parsed, and end with the row to continue from`, async () => {
    const { stream, sent } = setUp({ framing });
    for (const batch of [['a', 'b'], ['c']]) {
      const rows = batch.map(pendingRow);
      for (const row of rows) row.answer();
      stream.put(Promise.all(rows.map(({ row }) => row)));
    }
    await stream.finish();
    const summary = { ok: 2, failed: 1 };
    assert.equal(framing.last({ ...summary, stopped: undefined }), done);
    const stopped = framing.last({ ...summary, stopped: { code: 'DRAINING', message: 'the "server" stops' } });
    assert.deepEqual(JSON.parse(stopped), {
      done: false,
      next_index: 3,
      code: 'DRAINING',
      message: 'the "server" stops',
    });
    const whole = `${sent.join('')}${framing.between}${stopped}${framing.close}`;
    const members =
      framing === NDJSON
        ? whole
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line))
        : JSON.parse(whole);
    assert.deepEqual(
      members.map(({ index }: { index: number }) => index),
      [0, 1, 2, undefined],
    );
  });
}

test('a stream abandoned while its client does not read ends at once', { timeout: 10_000 }, async () => {
  const { stream, sent, block } = setUp();
  block();
  const row = pendingRow('a');
  row.answer();
  stream.put(Promise.all([row.row]));
  await settle();
  const finished = stream.finish();
  stream.abandon();
  await finished;
  assert.equal(sent.length, 1);
});

test('a batch of long rows is sent in several texts, none much longer than a row', async () => {
  const { stream, sent } = setUp();
  const long = `"prediction":"${'x'.repeat(50_000)}"`;
  stream.put(Promise.resolve(Array.from({ length: 10 }, () => ({ text: long }))));
  await stream.finish();
  assert.equal(sent.length, 5);
  const indexes = sent
    .join('')
    .split('\n')
    .map((line) => JSON.parse(line).index);
  assert.deepEqual(indexes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('an error that keeps a stream from sending is thrown by finish', async () => {
  const { stream } = setUp({
    send() {
      throw new RangeError('no');
    },
  });
  stream.put(Promise.resolve([{ text: '"prediction":1' }]));
  await assert.rejects(stream.finish(), RangeError);
  assert.equal(stream.put(Promise.resolve([])), undefined);
});

test('the first error that is not the row’s own is kept for the log', async () => {
  const { stream } = setUp();
  const refused = { error: new ServingError('INVALID_INPUT', 'no') };
  const first = new ServingError('MODEL_FAILED', 'first');
  stream.put(Promise.resolve([refused, { error: first }, { error: new ServingError('MODEL_FAILED', 'second') }]));
  await stream.finish();
  assert.equal(stream.fault(), first);
});
