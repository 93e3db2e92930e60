import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { download, hashFile } from '../../../functions/model/fetch/download.ts';
import { crc32c } from '../../../functions/model/sources/crc32c.ts';
import { createFileSource } from '../../../functions/model/sources/file.ts';
import { type Entry, type Source, SourceError } from '../../../functions/model/sources/source.ts';

/** More than three parts of 16 MiB, and no multiple of anything. */
const LARGE = randomBytes(50 * 2 ** 20 + 12_345);

interface Rig {
  readonly source: Source;
  readonly entry: Entry;
  readonly path: string;
  readonly folder: string;
  readonly reads: [start: number, end: number][];
  readonly waits: number[];
  readonly bytes: () => number;
  run(source?: Source, entry?: Entry): Promise<void>;
}

/** A file on the disk as the source, whose `read` a test may break. */
async function setUp(t: TestContext, content: Uint8Array, more: Partial<Entry> = {}): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'download-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const from = mkdtempSync(join(folder, 'from'));
  writeFileSync(join(from, 'model.onnx'), content);
  const files = createFileSource(from);
  const [listed] = await files.list(new AbortController().signal);
  const entry = { ...listed!, crc32c: crc32c(content), ...more };
  const reads: [number, number][] = [];
  const waits: number[] = [];
  let bytes = 0;
  const source: Source = {
    ...files,
    read(each, start, end, ...rest) {
      reads.push([start, end]);
      return files.read(each, start, end, ...rest);
    },
  };
  const path = join(folder, 'to.onnx');
  return {
    source,
    entry,
    path,
    folder,
    reads,
    waits,
    bytes: () => bytes,
    run: (one = source, each = entry) =>
      download(one, each, path, {
        signal: new AbortController().signal,
        onBytes: (more) => {
          bytes += more;
        },
        onRetry: (_, waitMs) => waits.push(waitMs),
        retry: { sleep: async () => {}, random: () => 1 },
      }),
  };
}

/** A source that breaks as `fault` says, given how often it was read before; `after` bytes of what was asked have come. */
function breaking(source: Source, fault: (read: number) => { error: Error; after: number } | undefined): Source {
  let read = 0;
  return {
    ...source,
    async read(entry, start, end, take, signal) {
      const broken = fault(read++);
      if (broken === undefined) return source.read(entry, start, end, take, signal);
      const upTo = Math.min(end, start + broken.after);
      if (upTo > start) await source.read(entry, start, upTo, take, signal);
      throw broken.error;
    },
  };
}

const reset = () => new SourceError('transient', 'reset');

test('a large object is read in parallel ranges, to a file of the same bytes that only its owner can read', async (t) => {
  const { run, path, reads, bytes, folder } = await setUp(t, LARGE);
  await run();
  assert.ok(readFileSync(path).equals(LARGE));
  assert.equal(reads.length, 4, 'parts of 16 MiB');
  assert.equal(bytes(), LARGE.length);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('to')),
    ['to.onnx'],
    'nothing is left beside it',
  );
});

test('an object is read in a part for each of four connections, of 16 to 64 MiB', async (t) => {
  const { run, source, entry, reads } = await setUp(t, new Uint8Array());
  const refusing: Source = {
    ...source,
    async read(_, start, end) {
      reads.push([start, end]);
      throw new SourceError('refused', 'no');
    },
  };
  const MIB = 2 ** 20;
  for (const [bytes, part] of [
    [40 * MIB, 16 * MIB],
    [200 * MIB, 52 * MIB],
    [400 * MIB, 64 * MIB],
  ] as const) {
    reads.length = 0;
    await assert.rejects(run(refusing, { ...entry, bytes }), { message: 'no' });
    assert.deepEqual(reads[1], [part, Math.min(bytes, 2 * part)]);
  }
});

test('an empty object is an empty file', async (t) => {
  const { run, path } = await setUp(t, new Uint8Array());
  await run();
  assert.equal(statSync(path).size, 0);
});

test('a range that breaks off is resumed where it broke', async (t) => {
  const { run, source, path, reads, waits } = await setUp(t, LARGE.subarray(0, 3 * 2 ** 20));
  await run(breaking(source, (read) => (read < 3 ? { error: reset(), after: 2 ** 20 - 5 } : undefined)));
  assert.ok(readFileSync(path).equals(LARGE.subarray(0, 3 * 2 ** 20)));
  assert.deepEqual(
    reads.map(([start]) => start),
    [0, 2 ** 20 - 5, 2 * (2 ** 20 - 5), 3 * (2 ** 20 - 5)],
  );
  assert.deepEqual(waits, [0, 0, 0], 'what gets on is not kept waiting');
});

test('connections that each break after a few bytes are failures, and end in an error', async (t) => {
  const { run, source, path, reads } = await setUp(t, LARGE.subarray(0, 2 ** 20));
  await assert.rejects(run(breaking(source, () => ({ error: reset(), after: 1 }))), {
    message: /^reset \(after 6 attempts\)/,
  });
  assert.equal(reads.length, 6);
  assert.equal(existsSync(path), false);
});

test('a refused read, or a changed object, fails at once and stops the other ranges', async (t) => {
  for (const fault of ['refused', 'changed'] as const) {
    const { run, source, folder } = await setUp(t, LARGE);
    const error = new SourceError(fault, 'no');
    await assert.rejects(run(breaking(source, (read) => (read === 2 ? { error, after: 100 } : undefined))), error);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('to')),
      [],
    );
  }
});

test('bytes with a wrong checksum are read again; after the third time the error has both checksums', async (t) => {
  const content = LARGE.subarray(0, 2 ** 20);
  const { run, source, path, bytes } = await setUp(t, content);
  const flipping = (times: number): Source => ({
    ...source,
    read(entry, start, end, take, signal) {
      const flip = times-- > 0;
      const changed = (chunk: Uint8Array): void => {
        const copy = Uint8Array.from(chunk);
        if (flip) copy[7]! ^= 1;
        take(copy);
      };
      return source.read(entry, start, end, changed, signal);
    },
  });
  await run(flipping(2));
  assert.ok(readFileSync(path).equals(content));
  assert.equal(bytes(), content.length, 'bytes that were thrown away do not count');
  rmSync(path);
  const right = crc32c(content).toString(16).padStart(8, '0');
  await assert.rejects(run(flipping(100)), {
    code: 'MODEL_FAILED',
    message: new RegExp(
      `model\\.onnx did not arrive as it was uploaded, 3 times over: its CRC32C is [0-9a-f]{8}, that of the object is ${right}`,
    ),
  });
  assert.equal(existsSync(path), false);
});

test('if others can write the bytes on the way, the MD5 is checked too', async (t) => {
  const content = LARGE.subarray(0, 100_000);
  const md5 = createHash('md5').update(content).digest('hex');
  const { run, source, entry } = await setUp(t, content);
  const shared = { ...source, shared: true };
  await run(shared, { ...entry, md5 });
  const forged = { ...entry, md5: md5.replace(/^./, (first) => (first === '0' ? '1' : '0')) };
  await assert.rejects(run(shared, forged), /its MD5 is [0-9a-f]{32}, that of the object is/);
  await run(source, forged);
});

test('a compressed object becomes the uncompressed file, and its stored bytes are checked', async (t) => {
  const content = Buffer.from('model '.repeat(100_000));
  const stored = gzipSync(content);
  const { run, path } = await setUp(t, stored, { gzip: true });
  await run();
  assert.ok(readFileSync(path).equals(content));
});

test('an object that is not gzip despite its Content-Encoding is refused', async (t) => {
  const { run, path } = await setUp(t, LARGE.subarray(0, 5000), { gzip: true });
  await assert.rejects(run(), {
    code: 'MODEL_FAILED',
    message: /its Content-Encoding says gzip, but it does not unpack/,
  });
  assert.equal(existsSync(path), false);
});

test('an object that does not fit the disk is refused before a byte of it is read', async (t) => {
  const { run, source, entry, reads, folder } = await setUp(t, LARGE.subarray(0, 10));
  await assert.rejects(run(source, { ...entry, bytes: 2 ** 52 }), {
    code: 'MODEL_FAILED',
    message: new RegExp(`model\\.onnx takes ${2 ** 52} bytes, and ${folder} has \\d+ free`),
  });
  assert.deepEqual(reads, []);
});

test('an abort ends a download', async (t) => {
  const { source, entry, path } = await setUp(t, LARGE);
  const stop = new AbortController();
  const onBytes = (): void => stop.abort(new Error('enough'));
  await assert.rejects(download(source, entry, path, { signal: stop.signal, onBytes, onRetry: () => {} }), /enough/);
  assert.equal(existsSync(path), false);
});

test('with any number of breaks at any place, a download ends in the right bytes or an error', async (t) => {
  const content = LARGE.subarray(0, 1_500_000);
  const rig = await setUp(t, content);
  const breaks = fc.array(fc.integer({ min: 0, max: content.length }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(breaks, async (afters) => {
      rmSync(rig.path, { force: true });
      const source = breaking(rig.source, (read) => {
        const after = afters[read];
        return after === undefined ? undefined : { error: reset(), after };
      });
      const failed = await rig.run(source).then(
        () => undefined,
        (error: Error) => error,
      );
      if (failed === undefined) assert.ok(readFileSync(rig.path).equals(content));
      else assert.deepEqual([failed.name, existsSync(rig.path)], ['SourceError', false]);
    }),
    { numRuns: 40 },
  );
});

test('a hash is of the complete file', async (t) => {
  const { folder } = await setUp(t, LARGE);
  const file = join(folder, 'x');
  writeFileSync(file, LARGE);
  assert.equal(await hashFile(file, 'sha256'), createHash('sha256').update(LARGE).digest('hex'));
});
