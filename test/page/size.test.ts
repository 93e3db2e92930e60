import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildAssets } from '../../scripts/browser-assets.ts';

const assets = await buildAssets();

test('the page is 88 kB at most in all, before it is compressed', () => {
  const own = [...assets].filter(([name]) => name.startsWith('page/'));
  assert.deepEqual(own.map(([name]) => name).sort(), ['page/index.html', 'page/page.css', 'page/page.js']);
  const bytes = own.reduce((sum, [, { length }]) => sum + length, 0);
  assert.ok(bytes <= 88_000, String(bytes));
});

test('no source of the page makes markup of a text, or code', () => {
  for (const name of ['page/page.js', 'docs/docs.js']) {
    const code = Buffer.from(assets.get(name)!).toString();
    assert.doesNotMatch(code, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/);
  }
});

test('the pages name no other host', () => {
  const other = /https?:\/\//;
  for (const [name, bytes] of assets) {
    if (name.includes('swagger-ui')) continue;
    assert.doesNotMatch(Buffer.from(bytes).toString(), other, name);
  }
});

test("the viewer's licence is served with it", () => {
  const script = readFileSync(join(import.meta.dirname, '../../scripts/browser-assets.ts'), 'utf8');
  assert.match(script, /'LICENSE', 'NOTICE'/);
});
