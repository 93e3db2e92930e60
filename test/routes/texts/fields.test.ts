import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MAX_TEXTS,
  readCount,
  readFlag,
  readName,
  readText,
  readTexts,
  requireObject,
} from '../../../functions/routes/texts/fields.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';

const json = (text: string) => readJson(Buffer.from(text));

test('members that are missing or null are undefined', () => {
  const body = requireObject(json('{"a":null}'));
  assert.deepEqual([readFlag(body, 'a'), readName(body, 'a'), readCount(body, 'b')], [undefined, undefined, undefined]);
});

const REFUSED: [text: string, read: (body: ReturnType<typeof requireObject>) => unknown, message: string][] = [
  ['{"a":1}', (body) => readFlag(body, 'a'), 'a: expected true or false, got 1'],
  ['{"a":"true"}', (body) => readFlag(body, 'a', 'b.a'), 'b.a: expected true or false, got "true"'],
  ['{"a":true}', (body) => readName(body, 'a'), 'a: expected a text, got true'],
  ['{"a":-1}', (body) => readCount(body, 'a'), 'a: expected a positive integer, got -1'],
  ['{"a":9007199254740993}', (body) => readCount(body, 'a'), 'a: expected a positive integer, got 9007199254740993'],
  ['{"a":"x\\u0000"}', (body) => readText(body.a, 'a'), 'a: the text has U+0000, which would end it in the model'],
  ['{"a":["x","\\ud83d"]}', (body) => readTexts(body.a, 'a'), 'a[1]: the text has half a surrogate pair'],
  ['{"a":[1,2]}', (body) => readTexts(body.a, 'a'), 'a[0]: expected a text, got 1'],
  ['{}', (body) => requireObject(body.a, 'a'), 'a: is missing'],
];
for (const [text, read, message] of REFUSED) {
  test(`${text} is refused with its place: ${message}`, () => {
    assert.throws(() => read(requireObject(json(text))), { code: 'INVALID_INPUT', message });
  });
}

test('more texts than a response can have are too many', () => {
  const texts = new Array<string>(MAX_TEXTS + 1).fill('a');
  assert.throws(() => readTexts(texts, 'inputs'), {
    code: 'TOO_LARGE',
    message: 'inputs: expected at most 32768 elements, got 32769: send several requests',
  });
});
