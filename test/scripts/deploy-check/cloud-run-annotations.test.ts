import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { IN_API } from '../../../scripts/deploy-check/cloud-run-annotations.ts';

test('the annotations are those that the description of the API names, on what it says', () => {
  const folder = join(createRequire(import.meta.url).resolve('@googleapis/run'), '..');
  const text = readFileSync(join(folder, 'v1.d.ts'), 'utf8');
  const described = text.split('\n').filter((line) => line.includes('`autoscaling.knative.dev/maxScale`: Revision.'));
  assert.equal(described.length, 1);
  const bearers = Array.from(described[0]!.matchAll(/`((?:run|autoscaling)\.[\w./-]+)`: ([\w, ]+)/g));
  for (const bearer of ['Service', 'Revision'] as const) {
    const named = bearers.filter(([, , on]) => new RegExp(`${bearer}|All resources`).test(on!)).map(([, name]) => name);
    assert.deepEqual([...IN_API[bearer]].sort(), named.sort(), bearer);
  }
});
