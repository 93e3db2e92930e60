import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unpackText } from '../../../functions/routes/instances/base64.ts';
import { isBase64 } from '../../../functions/tensor/base64.ts';
import type { JsonValue } from '../../../functions/tensor/json/reader.ts';
import type { DType } from '../../../functions/tensor/tensor.ts';

const signature = (...dtypes: DType[]) => ({
  inputs: dtypes.map((dtype, i) => ({ name: `in${i}`, dtype, shape: [-1, 2] })),
  outputs: [],
});
const b64 = (text: string): { b64: string } => ({ b64: Buffer.from(text).toString('base64') });

test('bytes are an object with the one key b64, a text', () => {
  for (const value of [{ b64: '' }, { b64: 'YQ==' }]) assert.ok(isBase64(value));
  const others: JsonValue[] = [{ b64: 1 }, { b64: 'YQ==', more: 1 }, {}, ['b64'], 'b64', null, new Float64Array(2)];
  for (const value of others) assert.ok(!isBase64(value), JSON.stringify(value));
});

test('bytes in a string input become the text that they encode, at any depth', () => {
  const strings = signature('string');
  assert.equal(unpackText(b64('Oslo'), strings, ''), 'Oslo');
  assert.deepEqual(unpackText([b64('Malmö'), ['x', b64('')]], strings, ''), ['Malmö', ['x', '']]);
  assert.deepEqual(unpackText({ in0: b64('a'), in1: b64('b') }, signature('string', 'float32'), ''), {
    in0: 'a',
    in1: b64('b'),
  });
});

test('base64 may be for URLs, and without its padding', () => {
  assert.equal(unpackText({ b64: 'w7_Dvj8-' }, signature('string'), ''), 'ÿþ?>');
  assert.equal(unpackText({ b64: 'YWI' }, signature('string'), ''), 'ab');
});

test('a byte order mark is part of the text', () => {
  assert.equal(unpackText(b64('\ufeffa'), signature('string'), ''), '\ufeffa');
});

test('what is not base64, or not UTF-8, is refused by its place', () => {
  const refused: [string, RegExp][] = [
    ['a', /^instances\[3\]\[1\]: b64 is not base64$/],
    ['YQ==x', /not base64/],
    ['YQ===', /not base64/],
    ['Y Q=', /not base64/],
    ['/w==', /^instances\[3\]\[1\]: the bytes are not UTF-8/],
  ];
  for (const [text, message] of refused) {
    assert.throws(() => unpackText(['x', { b64: text }], signature('string'), 'instances[3]'), {
      code: 'INVALID_INPUT',
      path: 'instances[3][1]',
      message,
    });
  }
});

test('a long repeat of any character is decoded or refused in linear time', () => {
  // A pattern that is quadratic in any of these would take hours.
  const length = 2_000_000;
  for (const character of ['=', 'A', ' ', '-', '+', '\n', 'é']) {
    for (const end of ['', 'x', '=', '==', '!']) {
      const given = { b64: character.repeat(length) + end };
      try {
        assert.equal((unpackText(given, signature('string'), '') as string).length > 0, true);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'INVALID_INPUT');
      }
    }
  }
});
