import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdleTimer } from '../../../functions/routes/native/idle-timer.ts';

test('bytes are progress once there are 16 KiB of them; fewer do not delay the end, and are named', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let idle = 0;
  const timer = createIdleTimer(1000, () => idle++);
  timer.refresh();
  assert.equal(timer.sent(), 'nothing');
  for (let i = 0; i < 10; i++) {
    t.mock.timers.tick(99);
    timer.onPiece(1600);
  }
  assert.equal(timer.sent(), 'neither a row nor 16384 bytes of one');
  t.mock.timers.tick(10);
  assert.equal(idle, 1);
  timer.refresh();
  t.mock.timers.tick(999);
  timer.onPiece(16_384);
  t.mock.timers.tick(999);
  assert.deepEqual([idle, timer.sent()], [1, 'nothing']);
  timer.end();
  t.mock.timers.tick(10_000);
  assert.equal(idle, 1);
});
