import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batch, type Json, linesOf, post } from '../../helpers/calls.ts';
import type { Host, HostKind } from '../../helpers/hosts.ts';

const row = (i: number): { features: number[] } => ({ features: [i, -i] });
const answerTo = (i: number): Json => ({
  index: i,
  prediction: [i + 0.5, 0.5 - i],
  outputs: { y: [i + 0.5, 0.5 - i] },
});
const rows = (count: number): { features: number[] }[] => Array.from({ length: count }, (_, i) => row(i));

/** /batch_predict, on a model whose answers can be told in advance: it adds a half. */
export function batchPredict(host: () => Host, kind: HostKind): void {
  describe('batches', { concurrency: 1 }, () => {
    const forms: [title: string, body: string, type: string][] = [
      ['a JSON array of bodies', JSON.stringify(rows(3)), 'application/json'],
      [
        '{"instances": [row, …]}',
        JSON.stringify({ instances: rows(3).map((body) => body.features) }),
        'application/json',
      ],
      [
        'NDJSON',
        rows(3)
          .map((body) => `${JSON.stringify(body)}\n`)
          .join(''),
        'application/x-ndjson',
      ],
      [
        'NDJSON as application/jsonl',
        rows(3)
          .map((body) => `${JSON.stringify(body)}\n`)
          .join(''),
        'application/jsonl',
      ],
      [
        'NDJSON without a last line end',
        rows(3)
          .map((body) => JSON.stringify(body))
          .join('\n'),
        'application/x-ndjson',
      ],
      [
        'NDJSON with CRLF',
        rows(3)
          .map((body) => `${JSON.stringify(body)}\r\n`)
          .join(''),
        'application/x-ndjson',
      ],
      [
        'NDJSON with blank lines',
        `\n\n${rows(3)
          .map((body) => `${JSON.stringify(body)}\n \r\n\n`)
          .join('')}\n`,
        'application/x-ndjson',
      ],
    ];
    for (const [title, body, type] of forms) {
      test(`${title} is answered with a line a row, in order, and a last line`, async () => {
        const answer = await post(host(), '/batch_predict', body, { 'content-type': type });
        assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/x-ndjson']);
        assert.ok(answer.headers.get('x-request-id'));
        assert.deepEqual(linesOf(answer), [answerTo(0), answerTo(1), answerTo(2), { done: true, ok: 3, failed: 0 }]);
        assert.ok(answer.text.endsWith('}\n'));
      });

      test(`${title} is answered with one array where JSON is asked for`, async () => {
        const answer = await post(host(), '/batch_predict', body, { 'content-type': type, accept: 'application/json' });
        assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/json']);
        assert.deepEqual(answer.json(), [answerTo(0), answerTo(1), answerTo(2)]);
      });
    }

    test('no rows at all are answered, too', async () => {
      for (const [body, type] of [
        ['[]', 'json'],
        ['{"instances":[]}', 'json'],
        ['', 'x-ndjson'],
        ['\n', 'x-ndjson'],
      ]) {
        const headers = { 'content-type': `application/${type}` };
        assert.deepEqual(linesOf(await post(host(), '/batch_predict', body, headers)), [
          { done: true, ok: 0, failed: 0 },
        ]);
        const array = await post(host(), '/batch_predict', body, { ...headers, accept: 'application/json' });
        assert.deepEqual(array.json(), []);
      }
    });

    test('5000 rows keep their order', async () => {
      for (const size of [1, 32, 4096]) {
        const lines = linesOf(await batch(host(), rows(5000), `?batch_size=${size}`));
        assert.deepEqual(lines.pop(), { done: true, ok: 5000, failed: 0 });
        assert.deepEqual(
          lines,
          Array.from({ length: 5000 }, (_, i) => answerTo(i)),
        );
      }
    });

    test('lines of any length and blank ones among them keep their order', async () => {
      const pad = ' '.repeat(300_000);
      const body = Array.from({ length: 90 }, (_, i) => {
        const line = JSON.stringify(row(i));
        return `${i % 7 === 0 ? `{${pad}${line.slice(1)}` : line}\n${i % 5 === 0 ? '\n \r\n'.repeat(1000) : ''}`;
      }).join('');
      const lines = linesOf(await batch(host(), body));
      assert.deepEqual(lines.pop(), { done: true, ok: 90, failed: 0 });
      assert.deepEqual(
        lines,
        Array.from({ length: 90 }, (_, i) => answerTo(i)),
      );
    });

    test('every kind of bad row fails alone, with its index and its reason', async () => {
      const bad = [
        '{"features":[1]}',
        '{"features":[1,"2"]}',
        '{"features":',
        'nonsense',
        '[]',
        '{}',
        '5',
        '{"other":1}',
      ];
      const body = bad.flatMap((line, i) => [JSON.stringify(row(2 * i)), line]).join('\n');
      const lines = linesOf(await batch(host(), body));
      assert.deepEqual(lines.pop(), { done: true, ok: bad.length, failed: bad.length });
      for (const [index, line] of lines.entries()) {
        if (index % 2 === 0) assert.deepEqual(line, answerTo(index));
        else {
          assert.deepEqual([line.index, line.error.code, line.prediction], [index, 'INVALID_INPUT', undefined]);
          assert.ok(line.error.message.length > 5);
        }
      }
      assert.equal(lines[1].error.path, 'features');
      assert.equal(lines[3].error.path, 'features[1]');
    });

    test('a bad row of an array is named by its place in it', async () => {
      const bodies = await post(host(), '/batch_predict', [row(0), { features: [1, true] }]);
      assert.equal(linesOf(bodies)[1].error.path, '[1].features[1]');
      const instances = await post(host(), '/batch_predict', {
        instances: [
          [1, 2],
          [1, 2, 3],
        ],
      });
      assert.equal(linesOf(instances)[1].error.path, 'instances[1]');
    });

    test('a body that is neither is refused as a whole', async () => {
      for (const body of ['{}', '5', '"x"', 'null', '{"instances":5}', '{"instances":null}']) {
        const { status, json } = await post(host(), '/batch_predict', body);
        // The framework's own parser refuses a JSON text that is neither object nor array.
        if (kind === 'functions' && !body.startsWith('{')) continue;
        assert.deepEqual([status, json().code], [400, 'INVALID_INPUT'], body);
        assert.match(json().error, /\{"instances": \[row, …\]\}/);
      }
    });

    test('batch_size is a whole number from 1 to 4096', async () => {
      for (const size of ['0', '-1', '1.5', 'many', '', '4097', '99999', '1e2']) {
        const { status, json } = await batch(host(), rows(1), `?batch_size=${size}`);
        assert.deepEqual([status, json().code, json().path], [400, 'INVALID_INPUT', 'batch_size'], size);
        assert.match(json().error, /1 to 4096/);
      }
      for (const size of ['1', '4096']) assert.equal((await batch(host(), rows(1), `?batch_size=${size}`)).status, 200);
    });
  });
}
