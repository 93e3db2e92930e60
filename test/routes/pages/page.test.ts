import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createPageRoutes } from '../../../functions/routes/pages/page.ts';
import { type Answer, call } from '../../helpers/calls.ts';
import { serveOnly } from '../../helpers/route-host.ts';

const PAGES = ['/', '/docs'];
const ROUTES = createPageRoutes();

/** A server of the pages, and all that it serves, by path. */
async function load(t: TestContext) {
  const host = await serveOnly(t, ROUTES);
  const get = (path: string, headers: Record<string, string> = {}) => call(host, path, { headers });
  const answers = new Map<string, Answer>();
  for (const { path } of ROUTES) answers.set(path, await get(path));
  return { get, answers };
}

/** The values of the attributes of a page's tags that load something. */
const loadedBy = (html: string): string[] =>
  [...html.matchAll(/<(?:script|link)\b[^>]*?\b(?:src|href)="(?!data:)([^"]*)"/g)].map(([, value]) => value!);

test('each file that a page loads is served, with the type that the browser needs', async (t) => {
  const { answers } = await load(t);
  for (const page of PAGES) {
    const loaded = loadedBy(answers.get(page)!.text);
    assert.ok(loaded.length >= 2, page);
    for (const relative of loaded) {
      const { pathname } = new URL(relative, `http://host${page}`);
      const answer = answers.get(pathname);
      assert.equal(answer?.status, 200, `${page} loads ${relative}`);
      const type = pathname.endsWith('.css') ? 'text/css' : 'text/javascript';
      assert.equal(answer.headers.get('content-type'), `${type}; charset=utf-8`);
      assert.ok(answer.text.length > 100, pathname);
    }
  }
});

test('every file that is served is loaded by a page', async (t) => {
  const { answers } = await load(t);
  const loaded = PAGES.flatMap((page) =>
    loadedBy(answers.get(page)!.text).map((relative) => new URL(relative, `http://host${page}`).pathname),
  );
  assert.deepEqual([...answers.keys()].sort(), [...PAGES, ...loaded].sort());
});

test('a page runs scripts of this server alone, sends to no other, and cannot be framed', async (t) => {
  const { answers } = await load(t);
  for (const page of PAGES) {
    const { headers } = answers.get(page)!;
    assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
    const policy = headers.get('content-security-policy')!;
    const rules = new Map(policy.split('; ').map((rule) => [rule.split(' ')[0]!, rule.split(' ').slice(1).join(' ')]));
    for (const name of ['default-src', 'base-uri', 'form-action', 'frame-ancestors']) {
      assert.equal(rules.get(name), "'none'", `${page} ${name}`);
    }
    for (const name of ['script-src', 'connect-src', 'style-src']) assert.equal(rules.get(name), "'self'", name);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  }
  assert.match(answers.get('/')!.headers.get('content-security-policy')!, /; require-trusted-types-for 'script'$/);
  const pictures = (page: string) =>
    /img-src ([^;]*)/.exec(answers.get(page)!.headers.get('content-security-policy')!)?.[1];
  assert.deepEqual([pictures('/'), pictures('/docs')], ["'self' data: blob:", "'self' data:"]);
});

test('a page has no inline script, style or handler, which its policy would block', async (t) => {
  const { answers } = await load(t);
  for (const page of PAGES) {
    const { text } = answers.get(page)!;
    assert.doesNotMatch(text, /<script(?![^>]*\bsrc=)|<style\b|<[^>]*\s(?:style|on[a-z]+)=/i, page);
  }
});

test('every file has headers against guessing its type and against sending a referrer, and is revalidated', async (t) => {
  const { answers } = await load(t);
  for (const [path, { headers }] of answers) {
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
    assert.equal(headers.get('cache-control'), 'no-cache', path);
    assert.equal(headers.get('vary'), 'Accept-Encoding', path);
  }
});

test('a browser that has the file gets a 304 without it', async (t) => {
  const { get, answers } = await load(t);
  const etag = answers.get('/')!.headers.get('etag')!;
  const again = await get('/', { 'if-none-match': etag });
  assert.deepEqual([again.status, again.text], [304, '']);
  assert.equal((await get('/', { 'if-none-match': '"other"' })).status, 200);
});

test('brotli is preferred, and a client that accepts no coding gets the same text', async (t) => {
  const { get } = await load(t);
  const packed = await get('/page/page.css', { 'accept-encoding': 'gzip, br' });
  const plain = await get('/page/page.css', { 'accept-encoding': 'identity' });
  assert.deepEqual(
    [packed, plain].map(({ headers }) => headers.get('content-encoding')),
    ['br', null],
  );
  assert.equal(plain.text, packed.text);
});
