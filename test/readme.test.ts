import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { SETTINGS } from '../functions/config/settings.ts';
import { STATUS } from '../functions/http/status.ts';
import { METRICS } from '../functions/telemetry/metrics/metric-table.ts';
import { anchorsOf, DOCUMENTATION, linksOf, PAGES, readPage, section, table, withoutBlocks } from './helpers/readme.ts';

const ROOT = join(import.meta.dirname, '..');

test('the pages are README, CONTRIBUTING, CHANGELOG, those of docs/, and one for each folder of deployment files', () => {
  for (const page of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'cloud-run/README.md', 'models/iris/README.md'])
    assert.ok(PAGES.includes(page), page);
  assert.ok(PAGES.filter((page) => page.startsWith('docs/')).length > 20);
  assert.ok(PAGES.filter((page) => page.startsWith('k8s/')).length > 10);
  assert.ok(PAGES.every((page) => !page.includes('node_modules')));
});

test('README has at most 250 lines', () => {
  assert.ok(readPage('README.md').split('\n').length <= 250);
});

test('the settings table is the settings: names, defaults and what they do, in order', () => {
  const expected = Object.entries(SETTINGS).map(([name, { default: fallback, doc }]) => [
    `\`${name}\``,
    shownDefault(fallback),
    doc,
  ]);
  assert.deepEqual(table(readPage('docs/operate/settings.md'), 'name'), expected);
});

test('the short settings table of README has settings with their defaults', () => {
  const rows = table(section('README.md', 'Settings'), 'name');
  assert.equal(rows.length, 10);
  for (const [cell, fallback] of rows) {
    const name = cell!.replaceAll('`', '');
    assert.ok(name in SETTINGS, name);
    assert.equal(fallback, shownDefault(SETTINGS[name as keyof typeof SETTINGS].default), name);
  }
});

const shownDefault = (fallback: string): string => (fallback === '' ? '' : `\`${fallback}\``);

test('every setting that a page names in backticks with a value exists', () => {
  for (const page of DOCUMENTATION) {
    const named = Array.from(readPage(page).matchAll(/`([A-Z]+_[A-Z_]+)=[^`]*`/g), ([, name]) => name!);
    assert.deepEqual(
      named.filter((name) => !(name in SETTINGS) && !OTHER_VARIABLES.has(name)),
      [],
      page,
    );
  }
});

/** Of onnxruntime. */
const OTHER_VARIABLES = new Set(['ORT_DISABLE_TELEMETRY']);

test('the table of codes has every error code and its status, in order', () => {
  const expected = Object.entries(STATUS).map(([code, status]) => [`\`${code}\``, String(status)]);
  assert.deepEqual(
    table(section('docs/api/rest.md', 'Errors'), 'code').map((cells) => cells.slice(0, 2)),
    expected,
  );
});

test('the table of metrics has every metric', () => {
  const expected = Object.values(METRICS).map(({ name, help }) => [`\`${name}\``, help]);
  assert.deepEqual(table(section('docs/operate/observability.md', 'Metrics'), 'metric'), expected);
});

test('every npm script that is named exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
  for (const page of PAGES) {
    const named = Array.from(
      readPage(page).matchAll(/npm run ([\w-]+)|npm (start|test)\b/g),
      ([, run, own]) => run ?? own!,
    );
    assert.deepEqual(
      named.filter((name) => !(name in scripts)),
      [],
      page,
    );
  }
  assert.match(readPage('README.md'), /npm run bench/);
});

const FOLDERS = 'cloud-run|deploy|docs|functions|k8s|models|scripts|test';

for (const page of [...DOCUMENTATION, 'CONTRIBUTING.md']) {
  test(`every path of the project that ${page} names in backticks exists`, () => {
    const named = Array.from(readPage(page).matchAll(new RegExp(`\`((?:${FOLDERS})/[^\`*<{,\\s]*)\``, 'g')));
    assert.deepEqual(
      named.map(([, path]) => path!).filter((path) => !existsSync(join(ROOT, path)) && !EXAMPLES.has(path)),
      [],
    );
    if (page === 'CONTRIBUTING.md') assert.ok(named.length > 50, String(named.length));
  });
}

/** Values of `MODEL_URI` in examples. */
const EXAMPLES = new Set(['models/fraud']);

test('the table of rooms in CONTRIBUTING has every folder of functions/', () => {
  const rooms = section('CONTRIBUTING.md', 'Rooms');
  const folders = new Set(globSync('functions/**/*.ts', { cwd: ROOT }).map(dirname));
  // The root has a row for each of its files; a page and a dialect say themselves what their own folders are.
  const others = ['functions', 'functions/page/docs', 'functions/routes/open-inference/triton'];
  assert.deepEqual(
    [...folders].filter((folder) => !others.includes(folder) && !rooms.includes(`\`${folder}/\``)).sort(),
    [],
  );
});

for (const page of PAGES) {
  test(`every relative link of ${page} resolves`, () => {
    const broken = linksOf(page).filter(({ path, anchor }) => {
      if (path.startsWith('..') || !existsSync(join(ROOT, path))) return true;
      return anchor !== undefined && !anchorsOf(path).includes(anchor);
    });
    assert.deepEqual(
      broken.map(({ target }) => target),
      [],
    );
  });
}

test('every page can be reached from README by links', () => {
  const reached = new Set(['README.md']);
  for (const page of reached) {
    for (const { path } of linksOf(page)) if (PAGES.includes(path)) reached.add(path);
  }
  assert.deepEqual(
    PAGES.filter((page) => !reached.has(page)),
    [],
  );
});

test('README links to every page of docs/ itself', () => {
  const linked = new Set(linksOf('README.md').map(({ path }) => path));
  assert.deepEqual(
    DOCUMENTATION.filter((page) => page !== 'README.md' && !linked.has(page)),
    [],
  );
});

for (const page of DOCUMENTATION.filter((path) => path !== 'README.md')) {
  test(`${page} begins with one title and a paragraph that says what it holds`, () => {
    const text = withoutBlocks(readPage(page));
    assert.equal(text.match(/^# /gm)?.length, 1);
    assert.match(text, /^# \S.*\n\n[^\s#|*`-]|^# \S.*\n\n`/);
    assert.ok(/^# .*\n\n((?:.+\n)+)/.exec(text)![1]!.replaceAll('\n', ' ').trim().endsWith('.'), 'a whole sentence');
  });
}
