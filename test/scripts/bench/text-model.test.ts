import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tokenizer } from '@anush008/tokenizers';
import { makeTexts, writeTokenizer } from '../../../scripts/bench/media/text-model.ts';

test('the texts of the benchmark have 3 to 400 tokens of a vocabulary of 30 522, and none is unknown', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'text-model-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeTokenizer(folder);
  const tokenizer = Tokenizer.fromFile(join(folder, 'tokenizer.json'));
  assert.equal(tokenizer.getVocabSize(true), 30_522);
  const unknown = tokenizer.tokenToId('[UNK]')!;
  const lengths: number[] = [];
  for (const text of makeTexts()) {
    const ids = (await tokenizer.encode(text)).getIds();
    assert.ok(!ids.includes(unknown), text);
    lengths.push(ids.length);
  }
  assert.deepEqual([Math.min(...lengths), Math.max(...lengths)], [3, 400]);
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  assert.ok(mean > 80 && mean < 86, `the mean is ${mean}`);
});
