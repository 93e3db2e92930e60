import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findLocalModel } from '../../../functions/cli/samples/local-model.ts';
import { ServingError } from '../../../functions/errors.ts';

const IRIS = join(import.meta.dirname, '../../../models/iris');
const folder = mkdtempSync(join(tmpdir(), 'local-model-'));
after(() => rmSync(folder, { recursive: true }));

for (const place of ['iris', 'versions/2', 'versions/10', 'many/a', 'many/b', 'named']) {
  cpSync(IRIS, join(folder, place), { recursive: true });
}
cpSync(join(IRIS, 'model.onnx'), join(folder, 'named/other.onnx'));
rmSync(join(folder, 'named/model.onnx'));
mkdirSync(join(folder, 'empty'));
writeFileSync(join(folder, 'empty/rows.csv'), '');

test('a model is a file with what lies beside it, a folder, or the highest version of a folder', async () => {
  const places: [path: string, file: string][] = [
    ['iris', 'iris/model.onnx'],
    ['iris/model.onnx', 'iris/model.onnx'],
    ['named/other.onnx', 'named/other.onnx'],
    ['versions', 'versions/10/model.onnx'],
    ['versions/2', 'versions/2/model.onnx'],
  ];
  for (const [path, file] of places) {
    const found = await findLocalModel(join(folder, path));
    assert.equal(found.path, join(folder, file));
    assert.equal(found.folder, join(folder, file, '..'));
    assert.equal(found.manifest.name, 'iris');
    assert.equal(found.golden?.rows.length, 6);
  }
});

test('what is no model is refused with what is expected', async () => {
  const cases: [path: string, message: string][] = [
    ['nowhere.onnx', ': no such file or folder'],
    ['empty', ': expected model.onnx in it, or in a folder with the number of a version'],
    [
      'named',
      ': expected model.onnx in it, or in a folder with the number of a version; to use other.onnx, give its path',
    ],
    ['many', `: it has 2 models: give the folder of one, such as ${join(folder, 'many/a')}`],
    ['empty/rows.csv', ': a model is a file whose name ends in .onnx, or a folder'],
  ];
  for (const [path, message] of cases) {
    await assert.rejects(
      findLocalModel(join(folder, path)),
      (error) => error instanceof ServingError && error.message === join(folder, path) + message,
    );
  }
  await assert.rejects(
    findLocalModel('gs://bucket/model'),
    /^ServingError: gs:\/\/bucket\/model: expected a model on this machine/,
  );
});
