import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { sendJson } from '../../../functions/http/request-context.ts';
import { readResults, runBatch } from '../../../functions/page/batch/batch-run.ts';
import { createResults } from '../../../functions/page/batch/results.ts';
import { createLineMaker, type Line } from '../../../functions/page/batch/rows.ts';
import type { ModelInfo } from '../../../functions/page/model.ts';
import { serveRoutes } from '../../helpers/serve.ts';

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
  const cells: string[] = [];
  const reported: number[] = [];
  const done = await runBatch(file, {
    url: `${url}/write`,
    maker: createLineMaker(MODEL),
    signal: new AbortController().signal,
    onResults: (ndjson, lines) => {
      answers += ndjson;
      cells.push(...lines.map((line) => line.cells[0]!));
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
  assert.ok(rows.every(({ index, prediction }, i) => index === i && prediction === i && cells[i] === String(i)));
});

test('a file without rows, and a batch that is cancelled, come to an end that says so', async (t) => {
  const controller = new AbortController();
  const { url } = await serveRoutes(t, () => {}, {}, { handle: () => controller.abort(new Error('enough')) });
  const options = { url: `${url}/write`, signal: controller.signal, onResults() {}, onProgress() {} };
  const run = (text: string) => runBatch(new Blob([text]), { ...options, maker: createLineMaker(MODEL) });
  await assert.rejects(run('\n\n'), /no rows/);
  await assert.rejects(run('1\n'), /enough/);
});

const line = (...cells: string[]): Line => ({ body: '', cells });

test('results become CSV with the columns of the file, and NDJSON; a failure is explained', async () => {
  const maker = createLineMaker(MODEL);
  maker.push('id,x\na,1\n');
  const results = createResults(MODEL, maker.table()!);
  const answers = [
    '{"index":0,"prediction":9007199254740993,"label":"yes","outputs":{"label":1,"scores":[0.25,0.75]}}',
    '{"index":1,"error":{"message":"features[0]: expected a number","code":"INVALID_INPUT","path":"features[0]"}}',
  ];
  results.add(`${answers.join('\n')}\n`, [line('a', '1'), line('b', '"no"')]);
  assert.equal(
    await results.csv().text(),
    'index,id,x,prediction,label,label,scores[no],scores[yes],error\r\n' +
      '0,a,1,9007199254740993,yes,1,0.25,0.75,\r\n' +
      '1,b,"""no""",,,,,,x: expected a number\r\n',
  );
  assert.equal(await results.ndjson().text(), `${answers.join('\n')}\n`);
  assert.deepEqual(
    results.rows.map(({ number, title }) => [number, title]),
    [
      [1, 'yes'],
      [2, 'x: expected a number'],
    ],
  );
  assert.deepEqual(
    results.failures.map(({ number }) => number),
    [2],
  );
  assert.deepEqual(results.histogram.counts()?.counts, [{ name: 'yes', value: 1 }]);
});

test('of many rows the first are shown, and the first that failed', () => {
  const maker = createLineMaker(MODEL);
  maker.push('1\n2\n');
  const results = createResults(MODEL, maker.table()!);
  for (let i = 0; i < 1000; i++) {
    const failed = `{"index":${i},"error":{"message":"no"}}\n`;
    results.add(i < 500 ? `{"index":${i},"prediction":1,"outputs":{}}\n` : failed, [line('1')]);
  }
  assert.equal(results.rows.length, 100);
  assert.equal(results.failures.length, 100);
  assert.equal(results.failures[0]!.number, 501);
});
