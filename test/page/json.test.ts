import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson, toJson } from '../../functions/page/json.ts';

test('integers keep their digits both ways', () => {
  const text = '{"a":[9007199254740993,-9223372036854775808,1.5,1e21,true,null],"__proto__x":"\\u2028"}';
  assert.equal(
    toJson(parseJson(text)),
    '{"a":[9007199254740993,-9223372036854775808,1.5,1e+21,true,null],"__proto__x":"\u2028"}',
  );
});
