import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createPartWriter } from '../../../functions/model/fetch/part-writer.ts';
import { crc32c } from '../../../functions/model/sources/crc32c.ts';

const folder = mkdtempSync(join(tmpdir(), 'part-writer-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'file');
const BYTES = randomBytes(5_000_000);

test('chunks of any size are written in order, at their place, with the checksum of all', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 900_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 1000 }), (pieces, start) => {
      const fd = openSync(path, 'w');
      const writer = createPartWriter(fd, start);
      let at = 0;
      for (const size of pieces) {
        // The piece's memory is somebody else's again at once.
        const piece = Buffer.from(BYTES.subarray(at, at + size));
        writer.append(piece);
        piece.fill(0);
        at = Math.min(BYTES.length, at + size);
      }
      writer.flush();
      closeSync(fd);
      const taken = BYTES.subarray(0, at);
      assert.ok(readFileSync(path).subarray(start).equals(taken));
      assert.equal(writer.crc32c(), crc32c(taken));
    }),
    { numRuns: 30 },
  );
});

test('a write that fails is reported at once, or at the end if the bytes were few', () => {
  const fd = openSync(path, 'w');
  closeSync(fd);
  const reading = openSync(path, 'r');
  assert.throws(() => createPartWriter(reading, 0).append(BYTES), { code: 'EBADF' });
  const writer = createPartWriter(reading, 0);
  writer.append(BYTES.subarray(0, 10));
  assert.throws(() => writer.flush(), { code: 'EBADF' });
  closeSync(reading);
});
