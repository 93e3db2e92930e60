import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, posix } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { isPage, routeOf } from '../../scripts/site/pages.ts';
import { sidebarOf } from '../../scripts/site/sidebar.ts';
import { PAGES, readPage } from '../helpers/readme.ts';
import { evaluate, launch, open } from './browser.ts';
import { ROOT, run } from './program.ts';

const SITE = join(ROOT, 'docs/.vitepress/dist');
const BUILD_BOUND_MS = 180_000;
const BASE = '/some-repository';
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
};

const htmlOf = (page: string): string => routeOf(page).replace(/\.md$/, '.html');
const pages = PAGES.filter(isPage).map(htmlOf);
const read = (path: string): string => readFileSync(join(SITE, path), 'utf8');
/** The values of an attribute in a page. */
const valuesOf = (html: string, attributes: string): string[] =>
  Array.from(html.matchAll(new RegExp(`\\s(?:${attributes})="([^"]*)"`, 'g')), ([, value]) => value!);

/** What npm needs to reach the registry where the packages of docs/ are not installed yet. */
function registryEnvironment(): Record<string, string> {
  const names = /^(npm_config_registry|.*_proxy|NODE_EXTRA_CA_CERTS)$/i;
  const found = Object.entries(process.env).filter(([name, value]) => names.test(name) && value !== undefined);
  return Object.fromEntries(found) as Record<string, string>;
}

before(async () => {
  // As GitHub Pages has it: below the name of the repository.
  const env = { ...registryEnvironment(), SITE_BASE: BASE };
  const { code, stdout, stderr } = await run('npm', ['run', 'docs'], env, BUILD_BOUND_MS);
  assert.equal(code, 0, stdout + stderr);
});

test('every page of docs/, README and the examples are in the site, and nothing else is', () => {
  const built = globSync('**/*.html', { cwd: SITE }).map((path) => path.replaceAll('\\', '/'));
  assert.ok(pages.length > 30, String(pages.length));
  assert.deepEqual(built.sort(), [...pages, '404.html'].sort());
});

describe('links and pictures', () => {
  const anchors = new Map<string, Set<string>>();
  before(() => {
    for (const page of pages) anchors.set(page, new Set(valuesOf(read(page), 'id')));
  });

  for (const page of pages) {
    test(`${page} links to pages, headings and files that exist`, () => {
      const dead = valuesOf(read(page), 'href|src|srcset').filter((value) => {
        if (/^(https?|data|mailto):/.test(value)) return false;
        const [path, anchor] = value.split('#') as [string, string?];
        const file =
          path === ''
            ? page
            : path.startsWith(`${BASE}/`)
              ? path.slice(BASE.length + 1)
              : posix.join(posix.dirname(page), path);
        const target = file === '' || file.endsWith('/') ? `${file}index.html` : file;
        if (!existsSync(join(SITE, target))) return true;
        return anchor !== undefined && anchor !== '' && !anchors.get(target)?.has(decodeURIComponent(anchor));
      });
      assert.deepEqual(dead, []);
    });
  }

  test('a file that is not in the site is linked on GitHub, where the repository has it', () => {
    const targets = new Set(
      pages.flatMap((page) => valuesOf(read(page), 'href')).filter((href) => /\/(blob|tree)\/main\//.test(href)),
    );
    assert.ok(targets.size > 10, String(targets.size));
    const missing = [...targets].filter(
      (href) => !existsSync(join(ROOT, decodeURIComponent(/\/main\/([^#]*)/.exec(href)![1]!))),
    );
    assert.deepEqual(missing, []);
  });
});

test('search has an index with every page in it', () => {
  const [index] = globSync('assets/**/@localSearchIndexroot*.js', { cwd: SITE });
  assert.ok(index, 'there is no index');
  const text = read(index);
  for (const page of pages) assert.ok(text.includes(`${BASE}/${page === 'index.html' ? '' : page}`), page);
});

describe('the site in Chromium', () => {
  let server: Server;
  let url: string;
  before(async () => {
    server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname);
      const file = join(SITE, path.slice(BASE.length).replace(/\/$/, '/index.html'));
      if (!path.startsWith(`${BASE}/`) || path.includes('..') || !existsSync(file)) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
      response.end(readFileSync(file));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${BASE}/`;
  });
  after(() => server.close());

  let browser: Browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  test('search finds a term, and its page opens; the sidebar has the groups of README; dark if the reader wants it', async () => {
    const { page, complaints } = await open(browser, `${url}faq.html`, { colorScheme: 'dark' });
    assert.equal(await page.locator('html.dark').count(), 1);
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('searchbox').fill('golden rows');
    await page.locator('#localsearch-list a').first().click();
    await page.waitForURL(/\.html#/);
    assert.match((await page.locator('main').textContent()) ?? '', /golden/);
    const groups = await page.locator('.VPSidebar .group h2').allTextContents();
    assert.deepEqual(
      groups,
      sidebarOf(readPage('README.md'), readPage).map(({ text }) => text),
    );
    await takePicture(page, 'site-dark');
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('the first page is README with its pictures; nothing sticks out of a telephone; only badges are on other hosts', async () => {
    const options = { colorScheme: 'light', viewport: { width: 360, height: 740 } } as const;
    const badge = {
      contentType: 'image/svg+xml',
      body: '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"/>',
    };
    const { page, complaints } = await open(browser, url, options, (one) =>
      one.route(/^https:/, (route) => route.fulfill(badge)),
    );
    await page.getByRole('heading', { level: 1, name: 'onnx-cloud-run' }).waitFor();
    assert.equal(await page.locator('html.dark').count(), 0);
    const missing = "[...document.images].filter((one) => one.src.startsWith('http:') && !one.naturalWidth).length";
    assert.equal(await evaluate(page, missing), 0);
    assert.ok((await evaluate<number>(page, 'document.documentElement.scrollWidth')) <= 360);
    await takePicture(page, 'site-light');
    const others = complaints.filter((text) => !/^asks another host: https:\S+(badge|shields)/.test(text));
    assert.deepEqual(others, []);
    await page.context().close();
  });
});

/** To be looked at: PAGE_SHOTS=folder node --test test/system/site.system.ts */
async function takePicture(page: Page, name: string): Promise<void> {
  const folder = process.env.PAGE_SHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
}
