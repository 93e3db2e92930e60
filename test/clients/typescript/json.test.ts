import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';
import { parseJson, writeJson } from '../../../clients/typescript/src/json.ts';

test('a plain value is read back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      assert.deepEqual(JSON.parse(writeJson(value)), value);
    }),
  );
});

test('what JSON.stringify loses is kept: digits of bigints, typed arrays, numbers that are not finite, negative zero', () => {
  const value = {
    big: 9007199254740993n,
    floats: Float32Array.of(0.5, Number.NaN, Number.POSITIVE_INFINITY, -0),
    ints: BigInt64Array.of(-(2n ** 63n)),
    none: undefined,
    when: new Date(0),
  };
  assert.equal(
    writeJson(value),
    '{"big":9007199254740993,"floats":[0.5,"NaN","Infinity",-0],"ints":[-9223372036854775808],"when":"1970-01-01T00:00:00.000Z"}',
  );
});

test('a response that is not JSON is a BAD_ANSWER that shows its start', () => {
  assert.throws(
    () => parseJson(new TextEncoder().encode('<html>')),
    (error: unknown) => error instanceof ClientError && error.code === 'BAD_ANSWER' && error.message.includes('<html>'),
  );
});
