import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { stage, targetOf } from '../../../functions/cli/edited/target.ts';
import { ServingError } from '../../../functions/errors.ts';

let folder: string;
let model: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'target-'));
  model = join(folder, 'model.onnx');
  writeFileSync(model, 'model');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('without --output the result lies beside the model, named by what was done to it', () => {
  assert.equal(targetOf(model, { label: 'pruned' }), join(folder, 'model.pruned.onnx'));
});

test('external data is not replaced without --force, and that of the model itself never', () => {
  const output = join(folder, 'new.onnx');
  const data = `${output}.data`;
  writeFileSync(data, 'weights');
  assert.throws(() => targetOf(model, { output, label: 'x' }), /new\.onnx\.data exists: add --force/);
  assert.equal(targetOf(model, { output, label: 'x', force: true }), output);
  const own = { output, label: 'x', force: true, data: [data] };
  assert.throws(() => targetOf(model, own), /has its external data in .*new\.onnx\.data: name another file/);
});

const REFUSED: [title: string, output: string, reason: RegExp][] = [
  ['the model itself', 'model.onnx', /it is the model itself, .*: name another file with --output/],
  ['a link to it', 'link.onnx', /it is the model itself/],
  ['another name of it', 'hard.onnx', /it is the model itself/],
  ['a file that exists', 'old.onnx', /it exists: add --force to replace it/],
  ['a folder', 'folder.onnx', /it exists, and is not a file/],
  ['a folder that does not exist', 'none/a.onnx', /its folder does not exist/],
  ['another ending', 'model.pb', /expected a name that ends in \.onnx/],
];
for (const [title, output, reason] of REFUSED) {
  test(`the result may not be ${title}`, () => {
    symlinkSync(model, join(folder, 'link.onnx'));
    linkSync(model, join(folder, 'hard.onnx'));
    writeFileSync(join(folder, 'old.onnx'), 'old');
    mkdirSync(join(folder, 'folder.onnx'));
    assert.throws(
      () => targetOf(model, { output: join(folder, output), label: 'x' }),
      (error) =>
        error instanceof ServingError && error.message.startsWith(join(folder, output)) && reason.test(error.message),
    );
  });
}

test('--force replaces a file that exists, but never the model', () => {
  writeFileSync(join(folder, 'old.onnx'), 'old');
  const force = true;
  assert.equal(targetOf(model, { output: join(folder, 'old.onnx'), label: 'x', force }), join(folder, 'old.onnx'));
  assert.throws(() => targetOf(model, { output: model, label: 'x', force }), ServingError);
});

test('files get their places once they are published, with their external data; the folder is gone', async () => {
  const ends: (() => unknown)[] = [];
  const staging = await stage(join(folder, 'new.onnx'), (end) => void ends.push(end));
  writeFileSync(staging.path, 'new');
  writeFileSync(`${staging.path}.data`, 'data');
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('new')),
    [],
  );
  await staging.publish();
  assert.deepEqual(readdirSync(folder).sort(), ['model.onnx', 'new.onnx', 'new.onnx.data']);
  assert.equal(readFileSync(join(folder, 'new.onnx.data'), 'utf8'), 'data');
  for (const end of ends) await end();
});

test('work that ends otherwise leaves nothing', async () => {
  const ends: (() => unknown)[] = [];
  const staging = await stage(join(folder, 'new.onnx'), (end) => void ends.push(end));
  writeFileSync(staging.path, 'half');
  for (const end of ends) await end();
  assert.deepEqual(readdirSync(folder), ['model.onnx']);
});
