import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RowTexts, sendRows } from '../../../functions/routes/texts/send-rows.ts';
import { call } from '../../helpers/calls.ts';
import { serveRoutes } from '../../helpers/serve.ts';

test('rows are sent in their order, whatever the order in which they came, and however long they are', async (t) => {
  const rows = 3000;
  const { url } = await serveRoutes(t, async (context) => {
    const texts = new RowTexts(rows);
    for (let row = rows - 1; row >= 0; row--) texts.set(row, JSON.stringify(`${row} ${'é'.repeat(300)}`));
    await sendRows(context, texts, ['{"rows":[', ']}'], ['X-Rows', String(rows)]);
  });
  const { headers, json } = await call({ url }, '/read');
  assert.equal(headers.get('x-rows'), String(rows));
  assert.deepEqual(
    json().rows,
    Array.from({ length: rows }, (_, row) => `${row} ${'é'.repeat(300)}`),
  );
});

test('a row that makes the response too long is refused before others are written', () => {
  const texts = new RowTexts(200);
  const long = 'x'.repeat(2 ** 20);
  assert.throws(
    () => {
      for (let row = 0; row < 200; row++) texts.set(row, long);
    },
    { code: 'TOO_LARGE' },
  );
  assert.equal(texts.texts.filter((text) => text !== undefined).length, 128);
});
