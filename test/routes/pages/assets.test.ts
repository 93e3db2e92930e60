import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { createAssetReader } from '../../../functions/routes/pages/assets.ts';

const PAGE = readFileSync(new URL('../../../functions/page/index.html', import.meta.url));
const read = createAssetReader();

test('an asset has one content in all codings: that of the file', async () => {
  const asset = await read('page/index.html', 'text/html');
  assert.equal(asset.type, 'text/html');
  assert.deepEqual(brotliDecompressSync(await asset.read('br')), PAGE);
  assert.deepEqual(gunzipSync(await asset.read('gzip')), PAGE);
  assert.deepEqual(await asset.read('identity'), PAGE);
});

test('an asset is read once for all requests, also for those at the same time', async () => {
  const both = [read('docs/docs.js', 'text/javascript'), read('docs/docs.js', 'text/javascript')];
  assert.equal(both[0], both[1]);
  const [asset] = await Promise.all(both);
  assert.equal(await read('docs/docs.js', 'text/javascript'), asset);
});

test('an asset that could not be read is read again for the next request', async () => {
  const failed = read('page/missing.js', 'text/javascript');
  await assert.rejects(failed, /page\/missing\.js/);
  const again = read('page/missing.js', 'text/javascript');
  assert.notEqual(again, failed);
  await assert.rejects(again);
});

test('assets with different contents have different hashes', async () => {
  const names = ['page/index.html', 'page/page.js', 'page/page.css', 'docs/index.html'];
  const hashes = await Promise.all(names.map(async (name) => (await read(name, 'text/plain')).hash));
  assert.equal(new Set(hashes).size, names.length);
});
