import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ListedVersion, readLayout } from '../../../functions/model/folder/layout.ts';
import { checkSigned, signatureOf } from '../../../functions/model/signature/signed-version.ts';
import type { Entry } from '../../../functions/model/sources/source.ts';

const DIGEST = 'a'.repeat(64);

function entry(path: string): Entry {
  return { path, bytes: 1, stamp: '1', crc32c: undefined, md5: undefined, gzip: false, modifiedAt: 0 };
}

/** The highest version of the only model of these files. */
function versionOf(root: string, paths: readonly string[]): ListedVersion {
  const [versions] = readLayout(root, paths.map(entry)).models.values();
  return versions![0]!;
}

function check(root: string, paths: readonly string[], name: string, signed: readonly string[], modelName?: string) {
  const digests = signed.map((path) => [path, DIGEST] as const);
  return checkSigned(root, versionOf(root, paths), { name, digests, ignored: ['notes'] }, modelName);
}

const REPOSITORY = ['iris/3/model.onnx', 'iris/3/model.sig'];

test('a version without a signature is refused', () => {
  assert.throws(() => signatureOf('/m', versionOf('/m', ['iris/3/model.onnx'])), {
    code: 'MODEL_FAILED',
    message: '/m/iris/3/model.onnx: it is not signed: there is no model.sig beside it, and MODEL_SIGNATURE is required',
  });
});

test('files that were added or removed are refused by name; those that the signer left out may be there', () => {
  const signed = ['model.onnx', 'weights.bin'];
  const paths = [...REPOSITORY, 'iris/3/weights.bin'];
  assert.deepEqual([...check('/m', paths, 'iris/3', signed).keys()], signed);
  for (const extra of ['notes/a.txt', '.gitattributes']) check('/m', [...paths, `iris/3/${extra}`], 'iris/3', signed);
  assert.throws(() => check('/m', [...paths, 'iris/3/model.json'], 'iris/3', signed), {
    message: '/m/iris/3/model.sig: it does not have these files, which are there: model.json',
  });
  assert.throws(() => check('/m', REPOSITORY, 'iris/3', signed), {
    message: '/m/iris/3/model.sig: it has these files, which are not there: weights.bin',
  });
  assert.throws(() => check('/m', paths, 'iris/3', ['weights.bin']), /which are there: model\.onnx/);
});

test('a signature is valid for its model and its version alone', () => {
  const own = ['model.onnx'];
  for (const name of ['iris/3', 'iris/0003']) check('/m', REPOSITORY, name, own);
  for (const name of ['iris', 'iris/2', 'rose/3', 'team/iris/3', '3', '', '/3', 'iris/3/']) {
    assert.throws(() => check('/m', REPOSITORY, name, own), {
      code: 'MODEL_FAILED',
      message: `/m/iris/3/model.sig: it was made for ${JSON.stringify(name)}, and this is "iris/3"`,
    });
  }
  check('/m', ['team/churn/model.onnx'], 'team/churn', own);
  assert.throws(() => check('/m', ['team/churn/model.onnx'], 'churn', own), /this is "team\/churn"/);
  assert.throws(() => check('/m', ['iris/model.onnx'], 'iris/3', own), /this is "iris"/);
});

test('a model in the root itself may have a folder of any name, but not the files of another version', () => {
  const own = ['model.onnx'];
  for (const name of ['iris', 'iris/3']) check('/copies/8f3a', ['model.onnx'], name, own);
  check('/m/iris', ['3/model.onnx'], 'iris/3', own);
  assert.throws(() => check('/m/iris', ['4/model.onnx'], 'iris/3', own), /this is "iris\/4"/);
  assert.throws(() => check('/copies/8f3a', ['model.onnx'], 'rose', own, 'iris'), /this is "iris"/);
});
