import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { saysWhole, stream } from '../../../scripts/bench/stream.ts';

/** Answers a line a row until `stopAfter` rows, then claims `ok` of them. */
async function batchServer(t: TestContext, claim: (rows: number) => object, stopAfter = Number.POSITIVE_INFINITY) {
  const server = createServer(async (req, res) => {
    let rows = 0;
    for await (const line of createInterface({ input: req })) {
      if (!Array.isArray(JSON.parse(line).features)) throw new Error(line);
      if (rows < stopAfter) res.write(`{"index":${rows}}\n`);
      rows += 1;
    }
    res.end(`${JSON.stringify(claim(rows))}\n`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, batchSize: 64, boundSeconds: 30 };
}

test('every row is a line of JSON, and a response with a line for each is complete', async (t) => {
  const options = await batchServer(t, (rows) => ({ done: true, ok: rows, failed: 0 }));
  for (const rows of [1, 512, 1300]) {
    const result = await stream({ ...options, rows });
    assert.deepEqual([result.whole, result.lines, result.error], [true, rows + 1, undefined], `${rows} rows`);
  }
});

test('a response that lacks a row is not complete, whatever its last line says', async (t) => {
  const options = await batchServer(t, () => ({ done: true, ok: 600, failed: 0 }), 599);
  const result = await stream({ ...options, rows: 600 });
  assert.equal(result.whole, false);
  assert.equal(result.error, 'the answer is not whole');
});

test('the last line must be done, with every row ok', () => {
  assert.equal(saysWhole('{"done":true,"ok":3,"failed":0}', 3), true);
  for (const line of [
    '{"done":true,"ok":2,"failed":1}',
    '{"done":false,"next_index":3,"code":"DRAINING"}',
    '{"done":true,"ok":3}',
    'null',
    '',
  ]) {
    assert.equal(saysWhole(line, 3), false, line);
  }
});
