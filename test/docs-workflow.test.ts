import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '..');
const TEXT = readFileSync(join(ROOT, '.github/workflows/docs.yml'), 'utf8');

test('the documentation is built below the address of its site, and published by a job with the rights of Pages alone', () => {
  const { on, permissions, jobs } = parse(TEXT);
  assert.deepEqual(Object.keys(on).sort(), ['push', 'workflow_dispatch']);
  assert.deepEqual(permissions, { contents: 'read' });
  assert.deepEqual(jobs.build?.permissions, { contents: 'read', pages: 'read' });
  assert.deepEqual(jobs.deploy?.permissions, { pages: 'write', 'id-token': 'write' });
  const steps = Object.values<{ steps: { run?: string }[] }>(jobs).flatMap((job) => job.steps);
  assert.deepEqual(
    steps.flatMap(({ run = [] }) => run),
    ['npm run docs'],
  );
  assert.match(TEXT, /SITE_BASE: \$\{\{ steps\.pages\.outputs\.base_path \}\}/);
  assert.match(TEXT, /path: docs\/\.vitepress\/dist/);
  const [, paths] = /paths: \[(.*)\]/.exec(TEXT)!;
  for (const path of paths!.split(', ').map((one) => one.replaceAll("'", '').replace('/**', '')))
    assert.ok(existsSync(join(ROOT, path)), path);
});
