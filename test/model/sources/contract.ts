import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Entry, type Source, SourceError, type SourceFault } from '../../../functions/model/sources/source.ts';

/** One kind of source, over a place of its own. */
export interface SourceKit {
  readonly source: Source;
  /** Of the same kind, with a root that is not there. */
  readonly missing: Source;
  /** Makes or replaces a file below the root. */
  put(path: string, bytes: Uint8Array): unknown;
  remove(path: string): unknown;
  close(): unknown;
}

const ODD_NAMES = [
  'with blanks/a b  c.onnx',
  'dots/..model..onnx',
  'dots/v1.2.3/model.onnx',
  'signs/#1?x=%2F&y=%.onnx',
  'signs/[a]{b}(c)\'d"$e;f,g=h+i@j!k~l^m`.onnx',
  'Größe/模型/🌲.onnx',
  'model.onnx',
];
const BIG = 3 * 2 ** 20 + 12_345;
const NEVER = new AbortController().signal;

/** Bytes in which each place has a value that tells it from its neighbours. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >>> 8) * 7 + (at >>> 16) * 13 + seed) & 0xff;
  return bytes;
}

export async function find(source: Source, path: string): Promise<Entry> {
  const entry = (await source.list(NEVER)).find((one) => one.path === path);
  assert.ok(entry !== undefined, `${path} is not listed`);
  return entry;
}

/** Reads a range and checks that its bytes are handed on in order and no more of them than were asked for. */
export async function readRange(source: Source, entry: Entry, start = 0, end = entry.bytes): Promise<Buffer> {
  const into = Buffer.alloc(end - start);
  let at = 0;
  await source.read(
    entry,
    start,
    end,
    (chunk) => {
      assert.ok(at + chunk.length <= into.length, `${at + chunk.length} bytes for a range of ${into.length}`);
      into.set(chunk, at);
      at += chunk.length;
    },
    NEVER,
  );
  assert.equal(at, into.length);
  return into;
}

export async function rejectsWith(
  promise: Promise<unknown>,
  fault: SourceFault,
  message?: RegExp,
): Promise<SourceError> {
  const error = await promise.then(
    () => assert.fail(`went well in place of ${fault}`),
    (error: unknown) => error,
  );
  assert.ok(error instanceof SourceError, String((error as Error).stack));
  assert.equal(error.fault, fault, error.message);
  if (message !== undefined) assert.match(error.message, message);
  return error;
}

/**
 * What is promised for every kind of source. A file that was removed since it was listed counts as `changed`, as one that
 * was replaced does: what helps is to list again.
 */
export function sourceContract(name: string, setUp: (t: TestContext) => SourceKit | Promise<SourceKit>): void {
  function promise(title: string, body: (kit: SourceKit) => Promise<void>): void {
    test(`${name}: ${title}`, async (t) => {
      const kit = await setUp(t);
      t.after(() => kit.close());
      await body(kit);
    });
  }

  promise('lists every file, with any name, with its size, by path', async ({ source, put }) => {
    for (const [at, path] of ODD_NAMES.entries()) await put(path, pattern(at * 1_000));
    const entries = await source.list(NEVER);
    assert.deepEqual(
      entries.map(({ path, bytes }) => ({ path, bytes })),
      ODD_NAMES.map((path, at) => ({ path, bytes: at * 1_000 })).sort((a, b) => (a.path < b.path ? -1 : 1)),
    );
    for (const entry of entries) {
      assert.ok(Math.abs(Date.now() - entry.modifiedAt) < 60_000, `${entry.path}: modified at ${entry.modifiedAt}`);
      assert.equal(entry.gzip, false);
      assert.deepEqual(await readRange(source, entry), pattern(entry.bytes), entry.path);
    }
  });

  promise('lists one folder alone, and the folders at the root', async ({ source, put }) => {
    for (const path of ['a b/model.onnx', 'a b/1/model.onnx', 'a b.c/model.onnx', 'c/d/x', 'model.json']) {
      await put(path, pattern(10));
    }
    const listed = async (under: string) => (await source.list(NEVER, { under })).map(({ path }) => path);
    assert.deepEqual(await listed('a b'), ['a b/1/model.onnx', 'a b/model.onnx']);
    assert.deepEqual(await listed('c/d'), ['c/d/x']);
    for (const under of ['a', 'model.json', 'nowhere', '..', 'c/', ''])
      assert.deepEqual(await listed(under), [], under);
    const [one] = await source.list(NEVER, { under: 'c/d' });
    assert.deepEqual(await readRange(source, one!), pattern(10));
    assert.deepEqual([...(await source.folders(NEVER))].sort(), ['a b', 'a b.c', 'c']);
  });

  promise('reads complete files, ranges, one byte, the last byte and an empty file', async ({ source, put }) => {
    const bytes = pattern(BIG);
    await put('m/model.onnx', bytes);
    await put('m/empty', new Uint8Array());
    const entry = await find(source, 'm/model.onnx');
    const ranges = [
      [0, BIG],
      [0, 1],
      [1, 2],
      [BIG - 1, BIG],
      [65_535, 65_537],
      [1_000_000, BIG - 7],
      [5, 5],
    ] as const;
    for (const [start, end] of ranges) {
      assert.ok((await readRange(source, entry, start, end)).equals(bytes.subarray(start, end)), `${start} to ${end}`);
    }
    assert.equal((await readRange(source, await find(source, 'm/empty'))).length, 0);
  });

  promise('reads several ranges and files at once', async ({ source, put }) => {
    const files = ['a/model.onnx', 'b/model.onnx', 'c/model.onnx'].map((path, at) => ({
      path,
      bytes: pattern(BIG, at),
    }));
    for (const { path, bytes } of files) await put(path, bytes);
    const listed = await source.list(NEVER);
    const parts = files.flatMap(({ path, bytes }) =>
      [0, 1, 2, 3].map(async (part) => {
        const [start, end] = [Math.floor((BIG * part) / 4), Math.floor((BIG * (part + 1)) / 4)];
        const got = await readRange(source, listed.find((one) => one.path === path)!, start, end);
        assert.ok(got.equals(bytes.subarray(start, end)), `${path} ${part}`);
      }),
    );
    await Promise.all(parts);
  });

  promise(
    'gives another stamp to other content of the same size, of which the old stamp reads no byte',
    async (kit) => {
      const { source, put } = kit;
      await put('m/model.onnx', pattern(1_000));
      const before = await find(source, 'm/model.onnx');
      assert.equal((await find(source, 'm/model.onnx')).stamp, before.stamp);
      await put('m/model.onnx', pattern(1_000, 9));
      const after = await find(source, 'm/model.onnx');
      assert.notEqual(after.stamp, before.stamp);
      await rejectsWith(
        source.read(before, 0, 1_000, () => assert.fail('handed bytes on'), NEVER),
        'changed',
        /model\.onnx/,
      );
      assert.deepEqual(await readRange(source, after), pattern(1_000, 9));
    },
  );

  promise('reports a file as changed that was removed since it was listed', async ({ source, put, remove }) => {
    await put('m/model.onnx', pattern(1_000));
    await put('m/model.json', pattern(10));
    const entry = await find(source, 'm/model.onnx');
    await remove('m/model.onnx');
    await rejectsWith(
      source.read(entry, 0, 1_000, () => assert.fail('handed bytes on'), NEVER),
      'changed',
      /model\.onnx/,
    );
    assert.deepEqual(
      (await source.list(NEVER)).map(({ path }) => path),
      ['m/model.json'],
    );
  });

  promise('stops when it is aborted: before a file, and within one', async ({ source, put }) => {
    await put('m/model.onnx', pattern(BIG));
    const entry = await find(source, 'm/model.onnx');
    const reason = new Error('enough');
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(source.list(aborted), reason);
    await assert.rejects(
      source.read(entry, 0, BIG, () => assert.fail('handed bytes on'), aborted),
      reason,
    );
    const stop = new AbortController();
    let taken = 0;
    const reading = source.read(
      entry,
      0,
      BIG,
      (chunk) => {
        taken += chunk.length;
        stop.abort(reason);
      },
      stop.signal,
    );
    await assert.rejects(reading, reason);
    assert.ok(taken > 0 && taken < BIG, `${taken} bytes`);
    assert.deepEqual(await readRange(source, entry, 0, 100), pattern(BIG).subarray(0, 100));
  });

  promise('passes on the error of the receiver, and delivers nothing after it', async ({ source, put }) => {
    await put('m/model.onnx', pattern(BIG));
    const entry = await find(source, 'm/model.onnx');
    const full = new Error('the disk is full');
    let calls = 0;
    const reading = source.read(
      entry,
      0,
      BIG,
      () => {
        calls += 1;
        throw full;
      },
      NEVER,
    );
    await assert.rejects(reading, full);
    assert.equal(calls, 1);
    assert.ok((await readRange(source, entry)).equals(pattern(BIG)));
  });

  promise('refuses a missing root, with its name', async ({ missing }) => {
    const error = await rejectsWith(missing.list(NEVER), 'refused');
    assert.ok(error.message.includes(missing.root), error.message);
  });
}
