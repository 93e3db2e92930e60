import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GoldenRow } from '../../../functions/model/folder/manifest.ts';
import { shortRows } from '../../../functions/model/folder/short-rows.ts';

const row = (features: GoldenRow['features']): GoldenRow => ({ features, outputs: { y: [1] } });

test('twenty golden rows are kept at most, the first ones', () => {
  const rows = Array.from({ length: 30 }, (_, i) => row([i]));
  assert.deepEqual(shortRows(rows), rows.slice(0, 20));
});

test('64 kB are kept at most: a long row is left out, and shorter ones after it are kept', () => {
  const long = row(new Float64Array(150_528).fill(0.123));
  const texts = row({ a: 'x'.repeat(30_000), b: [1n, null, true, [2.5]] });
  assert.deepEqual(shortRows([row([1]), long, texts, texts, texts, row([2])]), [row([1]), texts, texts, row([2])]);
});

test('the size that counts is that of the JSON', () => {
  const kept = shortRows(Array.from({ length: 20 }, () => row({ text: '\u0000'.repeat(1500), list: [1, 2, 3] })));
  assert.ok(JSON.stringify(kept).length <= 64_000 && kept.length > 5, String(kept.length));
});
