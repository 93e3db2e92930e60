import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentsOf } from '../../../functions/page/result/entities.ts';

const entity = (start: number, end: number) => ({ label: 'PER', score: 1, word: '', start, end });
const cut = (text: string, ...places: [number, number][]) =>
  segmentsOf(
    text,
    places.map(([start, end]) => entity(start, end)),
  ).map(({ text: part, entity: own }) => (own === undefined ? part : `<${part}>`));

test('a text is cut at its entities, whose places count code points', () => {
  assert.deepEqual(cut('😀 Ada met Bo', [2, 5], [10, 12]), ['😀 ', '<Ada>', ' met ', '<Bo>']);
  assert.deepEqual(cut('Ada met', [0, 3]), ['<Ada>', ' met']);
  assert.deepEqual(cut('Ada'), ['Ada']);
  assert.deepEqual(cut(''), []);
});

test('entities in any order are cut, and those that are not in the text, or in another one, are left out', () => {
  assert.deepEqual(cut('one two', [4, 7], [0, 3]), ['<one>', ' ', '<two>']);
  assert.deepEqual(cut('one two', [0, 5], [4, 7], [6, 9], [3, 3], [Number.NaN, 2]), ['<one t>', 'wo']);
});
