import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIALECTS, generate, type Signature } from '../../../scripts/fuzz/generate.ts';

const MODELS: readonly Signature[] = [
  { name: 'one', inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }], outputs: [] },
  {
    name: 'two',
    inputs: [
      { name: 'a', datatype: 'INT64', shape: [-1, 1] },
      { name: 'b', datatype: 'BYTES', shape: [-1, 2] },
    ],
    outputs: [],
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

test('some bodies are long: repeats, many keys, blank and stretched lines, long base64, byte order marks, bare floats', () => {
  const bodies = Array.from({ length: 6000 }, (_, number) => generate(5, number, MODELS).body.toString('latin1'));
  const has = (...texts: string[]): boolean => bodies.some((body) => texts.every((text) => body.includes(text)));
  const found = {
    repeat: [...'=([0/'].some((character) => has(character.repeat(5000))),
    keys: has('"k4999":1') || has('"4999":1') || has('"same":1,'.repeat(4999)),
    blankLines: has('\n'.repeat(5000)) || has('\r\n'.repeat(5000)) || has(' \n'.repeat(5000)),
    stretchedLine: has(' '.repeat(20_000)),
    base64: has(`"b64":"${'YWFh'.repeat(500)}`) || has(`"b64":"${'w6nDqcOp'.repeat(250)}`),
    byteOrderMark: bodies.some((body) => body.startsWith('\xef\xbb\xbf')),
    bareFloat: has(',NaN') || has('[NaN'),
    deepAndWide: has('['.repeat(10), '[],'.repeat(100)) || has('{"a":'.repeat(10), '{},'.repeat(100)),
  };
  assert.deepEqual(
    Object.entries(found).filter(([, there]) => !there),
    [],
  );
});
