import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textsIn } from '../../../functions/page/media/texts-in.ts';

test('texts are read from every form of the features of a body or a link', () => {
  for (const [features, expected] of [
    ['a', ['a', []]],
    [['a'], ['a', []]],
    [
      ['a', 'b'],
      ['a', ['b']],
    ],
    [{ text: 'a' }, ['a', []]],
    [{ text: ['a'], text_pair: ['b'] }, ['a', ['b']]],
    [{ text: 'a', text_pair: 'b' }, ['a', ['b']]],
    [{ text: 'a', text_pair: ['b', 'c'] }, ['a', ['b', 'c']]],
    [undefined, [undefined, []]],
    [1, [undefined, []]],
    [{ text: 1, text_pair: [2] }, [undefined, []]],
  ] as const) {
    assert.deepEqual(textsIn(features), expected, JSON.stringify(features));
  }
});
