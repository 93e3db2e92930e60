import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recent } from '../../functions/access/recent.ts';

test('beyond its size, the entry that was used least recently is removed', () => {
  const recent = new Recent<number>(3);
  for (const [key, value] of Object.entries({ a: 1, b: 2, c: 3 })) recent.set(key, value);
  assert.equal(recent.get('a'), 1);
  recent.set('d', 4);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((key) => recent.get(key)),
    [1, undefined, 3, 4],
  );
  recent.set('c', 5);
  recent.set('e', 6);
  recent.delete('d');
  assert.deepEqual(
    ['a', 'c', 'd', 'e'].map((key) => recent.get(key)),
    [undefined, 5, undefined, 6],
  );
});
