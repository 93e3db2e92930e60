import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paddedLength } from '../../functions/text/row-length.ts';

test('rows are padded to one of few lengths, by less than a quarter of it beyond 48 tokens', () => {
  const lengths = new Set(Array.from({ length: 512 }, (_, i) => paddedLength(i + 1)));
  assert.deepEqual([...lengths], [8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512]);
  for (let tokens = 1; tokens <= 40_000; tokens++) {
    const padded = paddedLength(tokens);
    assert.ok(
      padded >= tokens && (tokens <= 48 ? padded - tokens < 8 : padded - tokens <= padded / 4),
      `${tokens}: ${padded}`,
    );
  }
});
