import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { SETTINGS } from '../functions/config/settings.ts';
import { STATUS } from '../functions/http/status.ts';
import { METRICS } from '../functions/telemetry/metrics/metric-table.ts';
import { README, section, table } from './helpers/readme.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'cloud-run/README.md',
  'models/iris/README.md',
  ...globSync('k8s/**/README.md', { cwd: ROOT }).sort(),
];

test('the settings table is the settings: names, defaults and what they do, in order', () => {
  const expected = Object.entries(SETTINGS).map(([name, { default: fallback, doc }]) => [
    `\`${name}\``,
    fallback === '' ? '' : `\`${fallback}\``,
    doc,
  ]);
  assert.deepEqual(table(section('Settings'), 'name'), expected);
});

test('the table of codes has every error code and its status, in order', () => {
  const expected = Object.entries(STATUS).map(([code, status]) => [`\`${code}\``, String(status)]);
  assert.deepEqual(
    table(section('The API'), 'code').map((cells) => cells.slice(0, 2)),
    expected,
  );
});

test('the table of metrics has every metric', () => {
  const expected = Object.values(METRICS).map(({ name, help }) => [`\`${name}\``, help]);
  assert.deepEqual(table(section('Logs and metrics'), 'metric'), expected);
});

test('every npm script that is named exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
  for (const page of PAGES) {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const named = Array.from(text.matchAll(/npm run ([\w-]+)|npm (start|test)\b/g), ([, run, own]) => run ?? own!);
    assert.deepEqual(
      named.filter((name) => !(name in scripts)),
      [],
      page,
    );
  }
  assert.match(README, /npm run bench/);
});

const CONTRIBUTING = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');

test('every path that CONTRIBUTING names exists', () => {
  const named = Array.from(CONTRIBUTING.matchAll(/`((?:cloud-run|functions|k8s|models|scripts|test)\/[^`*<\s]*)`/g));
  assert.ok(named.length > 50, String(named.length));
  assert.deepEqual(
    named.map(([, path]) => path!).filter((path) => !existsSync(join(ROOT, path))),
    [],
  );
});

test('the table of rooms in CONTRIBUTING has every folder of functions/', () => {
  const [, rooms] = /^## Rooms\n(.*?)^## /ms.exec(CONTRIBUTING)!;
  const folders = new Set(globSync('functions/**/*.ts', { cwd: ROOT }).map(dirname));
  // A page and a dialect say themselves what their own folders are.
  const inner = ['functions/page/docs', 'functions/routes/open-inference/triton'];
  assert.deepEqual(
    [...folders].filter((folder) => !inner.includes(folder) && !rooms!.includes(`\`${folder}/\``)).sort(),
    ['functions'],
  );
});

for (const page of PAGES) {
  test(`every relative link of ${page} resolves`, () => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const broken = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target!).filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [path, anchor] = target.split('#') as [string, string?];
      const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
      if (!existsSync(file)) return true;
      return anchor !== undefined && !anchors(readFileSync(file, 'utf8')).includes(anchor);
    });
    assert.deepEqual(broken, []);
  });
}

/** The anchors that GitHub gives a page's headings. */
function anchors(text: string): string[] {
  return Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
