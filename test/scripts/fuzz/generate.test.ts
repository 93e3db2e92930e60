import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIALECTS, generate, type Signature } from '../../../scripts/fuzz/generate.ts';

const MODELS: readonly Signature[] = [
  { name: 'one', inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }] },
  {
    name: 'two',
    inputs: [
      { name: 'a', datatype: 'INT64', shape: [-1, 1] },
      { name: 'b', datatype: 'BYTES', shape: [-1, 2] },
    ],
  },
];
const COUNT = 600;
const all = (seed: number) => Array.from({ length: COUNT }, (_, number) => generate(seed, number, MODELS));

test('the same seed makes the same bodies, whatever was made before', () => {
  const forward = all(1);
  const backward = Array.from({ length: COUNT }, (_, i) => generate(1, COUNT - 1 - i, MODELS)).reverse();
  assert.deepEqual(backward, forward);
});

test('another seed makes other bodies', () => {
  const [one, two] = [all(1), all(2)];
  assert.ok(one.filter(({ body }, i) => !body.equals(two[i]!.body)).length > COUNT / 2);
});

test('every dialect and every model is reached', () => {
  const requests = all(1);
  assert.deepEqual(new Set(requests.map(({ dialect }) => dialect)), new Set(DIALECTS));
  for (const { name } of MODELS)
    assert.ok(
      requests.some(({ path }) => path === `/models/${name}/predict`),
      name,
    );
});

test('bodies are packed with gzip and with deflate', () => {
  const encodings = new Set(all(1).map(({ headers }) => headers['Content-Encoding']));
  for (const encoding of ['gzip', 'deflate']) assert.ok(encodings.has(encoding), encoding);
});

test('a raw body is, more often than not, just the bytes of one row', () => {
  const raw = all(1).filter(({ dialect }) => dialect === 'infer-raw');
  assert.ok(raw.filter(({ body }) => body.length === 16).length > raw.length / 2);
});
