import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readLink, writeLink } from '../../functions/page/link.ts';

test('what a link carries is read back: the model, its version, and the features with every digit', () => {
  const linked = { name: 'a/b & c', version: '3', features: '{"a":[9007199254740993,"é😀"],"b":"#?&%"}' };
  assert.deepEqual(readLink(`#${writeLink(linked)}`), linked);
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      const features = JSON.stringify(value);
      const fragment = writeLink({ features });
      if (fragment !== undefined) assert.deepEqual(readLink(`#${fragment}`), { features });
    }),
  );
});

test('features that are too long have no link', () => {
  assert.equal(writeLink({ features: JSON.stringify(new Array(5000).fill(1)) }), undefined);
});

test('what is no link of this page is left out', () => {
  for (const hash of ['', '#', '#features=', '#features={', '#version=1', '#model=..', `#features=${'1'.repeat(9000)}`])
    assert.deepEqual(readLink(hash), {}, hash);
  assert.deepEqual(readLink('#model=a&version=..'), { name: 'a' });
  assert.equal(readLink('#inputs'), undefined);
  assert.deepEqual(readLink('#features=%5B1%5D&model=&other=1'), { features: '[1]' });
});
