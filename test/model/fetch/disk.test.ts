import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { checkRoom, isInMemory } from '../../../functions/model/fetch/disk.ts';

test('a file that fits is accepted; another is refused with both sizes and what to do', async () => {
  await checkRoom(tmpdir(), 1, 'x');
  await assert.rejects(checkRoom(tmpdir(), 2 ** 60, 'gs://b/model.onnx'), {
    code: 'MODEL_FAILED',
    message: new RegExp(`^gs://b/model\\.onnx takes ${2 ** 60} bytes, and \\S+ has \\d+ free: .*TMPDIR`),
  });
});

test('a file system in memory is recognized, and the folder of the program is on another', async () => {
  // Linux has one there; elsewhere there is nothing to be known.
  if (existsSync('/dev/shm')) assert.equal(await isInMemory('/dev/shm'), true);
  assert.equal(await isInMemory(import.meta.dirname), false);
});
