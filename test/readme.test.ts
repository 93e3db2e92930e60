import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { SETTINGS } from '../functions/config/settings.ts';
import { STATUS } from '../functions/http/status.ts';
import { METRICS } from '../functions/telemetry/metrics/metric-table.ts';
import {
  anchorsOf,
  blocks,
  DOCUMENTATION,
  linksOf,
  PAGES,
  readPage,
  section,
  table,
  withoutBlocks,
} from './helpers/readme.ts';

const ROOT = join(import.meta.dirname, '..');

test('the pages are README, CONTRIBUTING, CHANGELOG, those of docs/, and one for each folder of deployment files', () => {
  for (const page of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'cloud-run/README.md', 'models/iris/README.md'])
    assert.ok(PAGES.includes(page), page);
  assert.ok(PAGES.filter((page) => page.startsWith('docs/')).length > 20);
  assert.ok(PAGES.filter((page) => page.startsWith('k8s/')).length > 10);
  assert.ok(PAGES.every((page) => !page.includes('node_modules')));
});

test('README has at most 200 lines', () => {
  assert.ok(readPage('README.md').split('\n').length <= 200);
});

const { name, license, dependencies, scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  name: string;
  license: string;
  dependencies: Record<string, string>;
  scripts: object;
};

test('README has four badges, and each is true', () => {
  const badges = Array.from(
    readPage('README.md').matchAll(/^\[!\[(\w+)\]\((\S+)\)\]\((\S+)\)$/gm),
    ([, what, picture, link]) => [what, picture, link],
  );
  const shield = (label: string, value: string): string =>
    `https://img.shields.io/badge/${label}-${value.replaceAll('-', '--')}-blue`;
  assert.deepEqual(badges, [
    ['build', '../../actions/workflows/ci.yml/badge.svg', '../../actions/workflows/ci.yml'],
    ['npm', `https://img.shields.io/npm/v/${name}`, `https://www.npmjs.com/package/${name}`],
    ['license', shield('license', license), 'LICENSE'],
    ['onnxruntime', shield('onnxruntime', dependencies['onnxruntime-node']!), 'docs/models/export.md#requirements'],
  ]);
  assert.ok(existsSync(join(ROOT, '.github/workflows/ci.yml')));
});

test('README shows the page and the architecture, in light and dark, with a text for each', () => {
  const pictures = Array.from(readPage('README.md').matchAll(/<picture>.*?<\/picture>/gs), ([text]) => text);
  assert.equal(pictures.length, 2);
  for (const picture of pictures) {
    const [, dark] = /prefers-color-scheme: dark\)" srcset="([^"]+)"/.exec(picture)!;
    const [, light, alt] = /<img src="([^"]+)" alt="([^"]+)">/.exec(picture)!;
    assert.equal(dark!.replace('dark', 'light'), light);
    for (const path of [dark!, light!]) assert.ok(existsSync(join(ROOT, path)), path);
    assert.ok(alt!.length > 20, alt);
  }
});

test('every page that shows the Dockerfile of one’s own image shows the same', () => {
  const shown = DOCUMENTATION.flatMap((page) =>
    blocks(readPage(page)).flatMap(({ language, text }) => (language === 'dockerfile' ? [text] : [])),
  );
  assert.ok(shown.length >= 3);
  assert.deepEqual([...new Set(shown)], ['FROM ml-model\nCOPY my-models /models\n']);
});

test('every picture that a page shows exists', () => {
  for (const page of DOCUMENTATION) {
    const paths = Array.from(withoutBlocks(readPage(page)).matchAll(/(?:src|srcset)="([^"]+)"/g), ([, path]) => path!);
    assert.deepEqual(
      paths.filter((path) => !existsSync(join(ROOT, dirname(page), path))),
      [],
      page,
    );
  }
});

/** The rows of the benchmarks page, in which a row without a workload belongs to the one above. */
function measured(): Map<string, string> {
  const found = new Map<string, string>();
  let workload = '';
  for (const [what, , figures] of table(section('docs/benchmarks.md', 'Results'), 'workload')) {
    workload = /^`([\w-]+)`/.exec(what!)?.[1] ?? workload;
    found.set(workload, `${found.get(workload) ?? ''} ${figures}`);
  }
  return found;
}

test('README makes five claims, each with a workload of the benchmark and the figures that it has measured', () => {
  const claims = table(section('README.md', 'What it does for you'), 'claim');
  assert.equal(claims.length, 5);
  for (const [claim, figures, command] of claims) {
    const [, workload] = /^`npm run bench -- --only ([\w-]+)`$/.exec(command!)!;
    const numbers = Array.from(figures!.matchAll(/\d+\.\d+|\d+(?= k\b)/g), ([number]) => number);
    const published = measured().get(workload!) ?? '';
    assert.ok(published !== '' && numbers.every((number) => published.includes(number)), `${claim}: ${published}`);
  }
});

test('the benchmarks page has workloads that exist', () => {
  for (const workload of measured().keys()) {
    assert.ok(existsSync(join(ROOT, `scripts/bench/workloads/${workload}.ts`)), workload);
  }
  assert.ok(measured().size >= 15);
});

/** What runs each line of README's blocks: a pattern of the line, and the tests. */
const RUN_BY: readonly [line: RegExp, test: string][] = [
  [/^npx onnx-cloud-run (doctor|serve) /, 'test/system/readme.system.ts'],
  [/^(FROM|COPY) /, 'test/system/readme.system.ts'],
  [/^npm ci && npm start$/, 'test/system/quick-start.system.ts'],
  [/^curl http:\/\/localhost:8080/, 'test/system/quick-start.system.ts'],
  [/^(export IMAGE=|docker build -t \$IMAGE|gcloud run )/, 'test/system/cloud-run.system.ts'],
];

test('each line that README shows is of a kind that a test runs', () => {
  const shown = blocks(readPage('README.md')).filter(({ language }) => language !== 'text');
  assert.deepEqual(
    shown.flatMap(({ text }) => text.trim().split('\n')).filter((line) => !RUN_BY.some(([kind]) => kind.test(line))),
    [],
  );
  for (const [, file] of RUN_BY) assert.match(readFileSync(join(ROOT, file), 'utf8'), /README/, file);
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
  assert.ok(rows.length >= 8 && rows.length <= 10, String(rows.length));
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

test('every alert is about metrics that exist', () => {
  const names = Object.values(METRICS).map(({ name }) => name);
  const alerts = table(section('docs/operate/observability.md', 'Alerts'), 'alert if');
  assert.ok(alerts.length >= 7);
  for (const [, expression] of alerts) {
    const [, metric] = /([a-z_]+?)(?:_bucket)?(?:\{|\[)/.exec(expression!)!;
    assert.ok((names as string[]).includes(metric!), `${metric}: ${expression}`);
  }
});

test('every npm script that is named exists', () => {
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

const FOLDERS = 'clients|cloud-run|deploy|docs|functions|k8s|models|scripts|test';

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
    const broken = linksOf(page).filter(({ target, path, anchor }) => {
      // GitHub's own page of a workflow, from the folder of the branch.
      const [, workflow] = /^\.\.\/\.\.\/actions\/workflows\/([\w.-]+?)(?:\/badge\.svg)?$/.exec(target) ?? [];
      if (workflow !== undefined) return !existsSync(join(ROOT, '.github/workflows', workflow));
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
