import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listNames, shorten } from '../functions/shorten.ts';

test('a text longer than the bound is cut, with an ellipsis', () => {
  assert.equal(shorten('a'.repeat(80)), 'a'.repeat(80));
  assert.equal(shorten('a'.repeat(81)), `${'a'.repeat(80)}…`);
  assert.equal(shorten('abcdef', 3), 'abc…');
});

test('a cut through a surrogate pair leaves well-formed text', () => {
  assert.equal(shorten('ab😀', 3), 'ab\ufffd…');
});

test('names are listed in their order, twenty at most, each shortened', () => {
  assert.equal(listNames(['b', 'a'.repeat(81)]), `b, ${'a'.repeat(80)}…`);
  const many = Array.from({ length: 21 }, (_, i) => `n${i}`);
  assert.equal(listNames(many.slice(0, 20)), many.slice(0, 20).join(', '));
  assert.equal(listNames(many), `${many.slice(0, 20).join(', ')}, …`);
});
