import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planManifest } from '../../../functions/cli/write-settings/plan-manifest.ts';
import { writeFiles } from '../../../functions/cli/write-settings/write-files.ts';
import { parseManifest } from '../../../functions/model/folder/manifest.ts';

const MANIFEST = {
  description: 'Takes x float32 [rows, 2].',
  output: 'label',
  classes: undefined,
  example: { features: [1, 2] },
};

test('a model without model.json gets one that the server reads; one that exists stays, unless it is forced', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'plan-manifest-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'model.json');
  const planned = planManifest(folder, MANIFEST, false)!;
  assert.deepEqual(
    planned.changes.map(({ place, from }) => [place, from]),
    [
      ['description', undefined],
      ['output', undefined],
      ['example', undefined],
    ],
  );
  writeFiles([planned]);
  assert.deepEqual(parseManifest(readFileSync(path, 'utf8'), path), {
    description: 'Takes x float32 [rows, 2].',
    output: 'label',
    example: { features: [1, 2] },
  });

  writeFileSync(
    path,
    '{"name":"mine","output":"label","description":"by hand","input":{"categories":{"x":[9007199254740993]}}}',
  );
  assert.equal(planManifest(folder, MANIFEST, false), undefined);
  const forced = planManifest(folder, MANIFEST, true)!;
  assert.deepEqual(forced.changes, [
    { place: 'description', from: '"by hand"', to: '"Takes x float32 [rows, 2]."' },
    { place: 'example', from: undefined, to: '{"features":[1,2]}' },
  ]);
  assert.match(forced.text, /"name": "mine"/);
  assert.match(forced.text, /9007199254740993/);
});

test('a model.json that is not JSON is replaced if it is forced', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'plan-manifest-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'model.json'), '[1');
  assert.equal(planManifest(folder, MANIFEST, true)!.changes.length, 3);
});
