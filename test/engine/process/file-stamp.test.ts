import assert from 'node:assert/strict';
import { chmodSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkStamp, stampOfFile } from '../../../functions/engine/process/file-stamp.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const tempFile = tempFiles('file-stamp-');

test('the stamp of a file stays the same until it is written, replaced or removed', () => {
  const path = tempFile('model.onnx', Uint8Array.of(1, 2, 3));
  const stamp = stampOfFile(statSync(path, { bigint: true }));
  checkStamp(path, stamp);

  chmodSync(path, 0o600);
  checkStamp(path, stamp);

  writeFileSync(path, Uint8Array.of(1, 2, 3, 4));
  assert.throws(() => checkStamp(path, stamp), /the file has changed since it was listed/);

  const other = `${path}.other`;
  writeFileSync(other, Uint8Array.of(3, 2, 1));
  utimesSync(other, 1, 1);
  renameSync(other, path);
  assert.throws(() => checkStamp(path, stamp), /has changed/);

  rmSync(path);
  assert.throws(() => checkStamp(path, stamp), /is gone/);
});
