import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStall } from '../../functions/client/stall.ts';

test('an answer that does not begin in time has stalled, and stays so', async () => {
  const stall = createStall(5);
  assert.equal(stall.state(), 'waiting');
  await stall.over;
  assert.equal(stall.state(), 'stalled');
  stall.end();
  assert.equal(stall.state(), 'stalled');
});

test('one that begins has not', () => {
  const stall = createStall(60_000);
  stall.end();
  assert.equal(stall.state(), 'answered');
});
