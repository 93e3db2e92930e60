import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutOf } from '../../functions/page/layout.ts';

test('a tensor of one or three channels, or of two dimensions, is a picture', () => {
  assert.deepEqual(layoutOf([3, 224, 200]), { height: 224, width: 200, channels: 3, first: true });
  assert.deepEqual(layoutOf([224, 200, 3]), { height: 224, width: 200, channels: 3, first: false });
  assert.deepEqual(layoutOf([1, 28, 28]), { height: 28, width: 28, channels: 1, first: true });
  assert.deepEqual(layoutOf([28, 28]), { height: 28, width: 28, channels: 1, first: true });
});

test('other tensors are none', () => {
  for (const shape of [[], [784], [4, 4], [3, 5000, 8], [12, 64, 64], [1, 3, 28, 28], [0, 0]])
    assert.equal(layoutOf(shape), undefined, String(shape));
});
