import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { sendJson } from '../../functions/http/request-context.ts';
import { readResults, runBatch } from '../../functions/page/batch-run.ts';
import { createResultsCsv } from '../../functions/page/csv.ts';
import type { ModelInfo } from '../../functions/page/fields.ts';
import { serveRoutes } from '../helpers/serve.ts';

const MODEL: ModelInfo = {
  name: 'm',
  version: '1',
  inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 1] }],
  outputs: [
    { name: 'label', dtype: 'int64', shape: [-1] },
    { name: 'scores', dtype: 'float32', shape: [-1, 2] },
  ],
  classes: ['no', 'yes'],
  example: { features: [1] },
};

test('the indexes of a response continue those of the rows before it, and its last line is left out', () => {
  const answer = [
    '{"index":0,"prediction":9007199254740993}',
    '{"index":1,"error":{"message":"no"}}',
    '{"done":true,"ok":1,"failed":1}',
    '',
  ].join('\n');
  assert.deepEqual(readResults(answer, 500), {
    text: '{"index":500,"prediction":9007199254740993}\n{"index":501,"error":{"message":"no"}}\n',
    rows: 2,
    failed: 1,
  });
});

test('a file is sent in requests of 500 rows, which are continued if the server stops or is overloaded', async (t) => {
  const sizes: number[] = [];
  const { url } = await serveRoutes(
    t,
    () => {},
    {},
    {
      handle: async (exchange) => {
        const lines = (await exchange.req.setEncoding('utf8').toArray()).join('').trim().split('\n');
        sizes.push(lines.length);
        if (sizes.length === 2) throw new ServingError('OVERLOADED', 'full', { retryAfter: 0 });
        const answered = sizes.length === 1 ? lines.slice(0, 100) : lines;
        const rows = answered.map((line, i) => `{"index":${i},"prediction":${JSON.parse(line).features[0]}}\n`);
        sendJson(exchange, 200, `${rows.join('')}{"done":${answered.length === lines.length}}\n`);
      },
    },
  );
  const file = new Blob([`x\n${Array.from({ length: 1234 }, (_, i) => `${i}\n`).join('')}`]);
  let answers = '';
  const reported: number[] = [];
  const done = await runBatch(file, {
    url: `${url}/write`,
    model: MODEL,
    signal: new AbortController().signal,
    onResults: (ndjson) => {
      answers += ndjson;
    },
    onProgress: ({ rows }) => reported.push(rows),
  });
  assert.deepEqual(sizes, [500, 400, 400, 500, 234]);
  assert.deepEqual(done, { bytes: file.size, rows: 1234, failed: 0 });
  assert.deepEqual(reported, [500, 1000, 1234, 1234]);
  const rows = answers
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(rows.every(({ index, prediction }, i) => index === i && prediction === i));
});

test('a file without rows, and a batch that is cancelled, come to an end that says so', async (t) => {
  const controller = new AbortController();
  const { url } = await serveRoutes(t, () => {}, {}, { handle: () => controller.abort(new Error('enough')) });
  const options = { url: `${url}/write`, model: MODEL, signal: controller.signal, onResults() {}, onProgress() {} };
  await assert.rejects(runBatch(new Blob(['\n\n']), options), /no rows/);
  await assert.rejects(runBatch(new Blob(['1\n']), options), /enough/);
});

test('results become CSV: a column for each score, by its class, and the error of a row that failed', () => {
  const { header, rows } = createResultsCsv(MODEL);
  const answers = [
    '{"index":0,"prediction":9007199254740993,"label":"yes","outputs":{"label":1,"scores":[0.25,0.75]}}',
    '{"index":1,"error":{"message":"features: expected 1 value, got 2","code":"INVALID_INPUT"}}',
  ];
  assert.equal(header(), 'index,prediction,label,label,scores[no],scores[yes],error\r\n');
  assert.equal(
    rows(`${answers.join('\n')}\n`),
    '0,9007199254740993,yes,1,0.25,0.75,\r\n1,,,,,,"features: expected 1 value, got 2"\r\n',
  );
});
