import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { gzipSize } from '../../../functions/cli/prune/gzip-size.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const file = tempFiles('gzip-');

test('the size is what gzip makes of the files, each for itself', async () => {
  const contents = [Buffer.alloc(3_000_000, 'model'), Buffer.from('data')];
  const paths = contents.map((content, i) => file(`${i}`, content));
  const calls: [number, number][] = [];
  const size = await gzipSize(paths, { onProgress: (...call) => calls.push(call) });
  assert.equal(
    size,
    contents.reduce((sum, content) => sum + gzipSync(content).length, 0),
  );
  assert.deepEqual(calls.at(-1), [3_000_004, 3_000_004]);
});

test('an abort ends it', async () => {
  await assert.rejects(gzipSize([file('a', Buffer.alloc(1e6))], { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  });
});
