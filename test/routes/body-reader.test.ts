import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { after, before, test } from 'node:test';
import threads from 'node:worker_threads';
import { markOwned } from '../../functions/http/body/owned-memory.ts';
import { type BodyReader, createBodyReader, type Owner } from '../../functions/routes/body-reader.ts';
import type { InferRequest } from '../../functions/routes/open-inference/request.ts';
import { type JsonValue, readJson } from '../../functions/tensor/json/reader.ts';
import type { Signature } from '../../functions/tensor/tensor.ts';

const ENTRY = new URL('../../functions/routes/body-thread.ts', import.meta.url);

// The parsing thread does not keep a process alive: a server's socket does. Here this does.
let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 60_000);
});
after(() => clearInterval(alive));

/** A busy machine takes seconds to start a thread. */
const LIMIT_MS = 120_000;

const numbers = Array.from({ length: 60_000 }, (_, i) => i / 7);
const SIGNATURE: Signature = {
  inputs: [{ name: 'x', dtype: 'float32', shape: [-1, numbers.length] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [-1, 1] }],
};
const LARGE = [
  JSON.stringify({ features: numbers, name: 'å', nested: [[1.5, 2, 3], { a: numbers.slice(0, 100) }] }),
  JSON.stringify(Array.from({ length: 30_000 }, (_, i) => ({ features: [i, -i, 0.5], id: `row ${i}` }))),
  `[9007199254740993,${'1,   '.repeat(60_000)}-9007199254740993]`,
  `{"__proto__":{"a":1},"pad":"${'x'.repeat(300_000)}"}`,
];

/** Someone who waits until the end. */
function newOwner() {
  const res = new EventEmitter();
  const cancellation = { cancelled: false };
  const leave = (): void => {
    cancellation.cancelled = true;
    res.emit('close');
  };
  return { res, cancellation, leave } as unknown as Owner & { leave(): void };
}
const OWNER = newOwner();

function newParser(t: { after(fn: () => void): void }, cpus = 1, memoryBytes?: number): BodyReader {
  const given = { cpus, limitMs: LIMIT_MS, ...(memoryBytes !== undefined && { memoryBytes }) };
  const parser = createBodyReader(ENTRY, given);
  t.after(() => parser.close());
  return parser;
}

test('a small body is parsed at once', (t) => {
  const parsed = newParser(t).parse(Buffer.from('{"features":[1,2]}'), OWNER);
  assert.ok(!(parsed instanceof Promise));
  assert.deepEqual(parsed, readJson(Buffer.from('{"features":[1,2]}')));
});

test('a large body is parsed in a thread, to the same value', async (t) => {
  const parser = newParser(t);
  for (const text of LARGE) {
    assert.ok(text.length >= 262_144);
    const parsed = parser.parse(Buffer.from(text), OWNER);
    assert.ok(parsed instanceof Promise);
    assert.deepEqual(plain(await parsed), plain(readJson(Buffer.from(text))));
  }
});

/** Objects cross a thread with another prototype; nothing that reads them may care. */
function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Float64Array) return value;
  return new Map(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

test('large bodies that come together each get their own value', async (t) => {
  const parser = newParser(t);
  const pad = 'x'.repeat(270_000);
  const values = await Promise.all(
    Array.from({ length: 20 }, (_, i) => parser.parse(Buffer.from(`{"id":${i},"pad":"${pad}"}`), OWNER)),
  );
  assert.deepEqual(
    values.map((value) => (value as { id: number }).id),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test('memory that only the body uses is transferred to the thread, also if the body is a part of it', async (t) => {
  const parser = newParser(t);
  const text = LARGE[0]!;
  const memory = Buffer.allocUnsafeSlow(Buffer.byteLength(text) + 100);
  const owned = markOwned(memory.subarray(3, 3 + memory.write(text, 3)));
  await parser.parse(owned, OWNER);
  assert.deepEqual([owned.length, memory.length], [0, 0]);
});

test('the memory of tensors that were read in a thread is freed when their owner says so', async (t) => {
  const parser = newParser(t);
  const owner = newOwner();
  const form = { signature: SIGNATURE, names: undefined, joinsRows: true };
  const { tensors } = await parser.readFeeds(Buffer.from(JSON.stringify({ features: numbers })), form, owner);
  const data = tensors[0]!.data as Float32Array;
  assert.equal(data.length, numbers.length);
  owner.freeResult!();
  assert.equal(data.length, 0);
  owner.freeResult!();
  const json = newOwner();
  await parser.parse(Buffer.from(LARGE[0]!), json);
  assert.equal(json.freeResult, undefined, 'a stream uses its values for as long as it lasts');
});

test('memory that may be used elsewhere is copied, however it lies in its ArrayBuffer', async (t) => {
  const parser = newParser(t);
  const text = LARGE[0]!;
  const alone = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  alone.write(text);
  const part = Buffer.from(` ${text}`).subarray(1);
  for (const body of [alone, part]) {
    await parser.parse(body, OWNER);
    assert.equal(body.toString(), text);
  }
  markOwned(alone);
  const other = alone.subarray();
  await parser.parse(other, OWNER);
  assert.equal(other.toString(), text, 'another view of memory that is owned');
});

test('a large body that is not JSON is refused with the byte, as a small one is', async (t) => {
  const parser = newParser(t);
  const text = `[[${'1,'.repeat(199_999)}1],x]`;
  const told = (error: unknown): string => {
    const { code, message } = error as { code: string; message: string };
    return `${code} ${message}`;
  };
  let expected = '';
  try {
    readJson(Buffer.from(text));
  } catch (error) {
    expected = told(error);
  }
  assert.match(expected, /^INVALID_INPUT .*byte 400003/);
  await assert.rejects(
    async () => parser.parse(Buffer.from(text), OWNER),
    (error) => told(error) === expected,
  );
  assert.ok(await parser.parse(Buffer.from(LARGE[0]!), OWNER), 'the thread lives on');
});

test('a thread that ends fails what it was parsing, and the next body gets a new one', async (t) => {
  const parser = newParser(t);
  const parsed = parser.parse(Buffer.from(LARGE[1]!), OWNER);
  parser.close();
  await assert.rejects(async () => parsed, /thread ended/);
  assert.ok(await parser.parse(Buffer.from(LARGE[0]!), OWNER));
});

const { Worker } = threads;

/** Threads that do nothing by themselves, in place of real ones. */
function fakeThreads(t: { after(fn: () => void): void }) {
  const started: FakeThread[] = [];
  class FakeThread extends EventEmitter {
    /** The length of each body that it was sent. */
    readonly posted: number[] = [];
    ended = false;
    constructor() {
      super();
      started.push(this);
    }
    unref(): void {}
    terminate(): void {
      this.ended = true;
    }
    postMessage({ bytes }: { bytes: Buffer }): void {
      this.posted.push(bytes.length);
    }
    answer(value: unknown): void {
      this.emit('message', { value });
    }
  }
  const replaceWith = (thread: unknown): void => {
    Object.assign(threads, { Worker: thread });
    syncBuiltinESMExports();
  };
  replaceWith(FakeThread);
  t.after(() => replaceWith(Worker));
  return started;
}
const SHORT = 300_000;
const LONG = 3_000_000;
function read(
  parser: BodyReader,
  size: number,
  owner: Owner = newOwner(),
  as: 'json' | 'features' = 'json',
): Promise<number> {
  const reading = as === 'json' ? { as } : { as, form: FORM };
  const value = parser.readInThread<number>(markOwned(Buffer.allocUnsafeSlow(size)), reading, owner);
  // Not every test waits for all.
  value.catch(() => {});
  return value;
}

test('a thread that dies takes nothing with it that its successor parses', async (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t);
  const lost = assert.rejects(read(parser, SHORT), /out of memory/);
  started[0]!.emit('error', new Error('out of memory'));
  await lost;
  const kept = read(parser, SHORT);
  started[0]!.emit('exit', 1);
  assert.equal(started.length, 2);
  started[1]!.answer(5);
  assert.equal(await kept, 5);
  read(parser, SHORT);
  assert.deepEqual([started.length, started[1]!.posted.length], [2, 2], 'the successor is kept');
});

test('a body that takes too long ends its thread and is refused; the bodies behind it are read', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const started = fakeThreads(t);
  const parser = createBodyReader(ENTRY);
  t.after(() => parser.close());
  const slow = read(parser, SHORT);
  const next = read(parser, SHORT);
  t.mock.timers.tick(9_999);
  assert.deepEqual([started.length, started[0]!.ended], [1, false]);
  t.mock.timers.tick(1);
  await assert.rejects(slow, { code: 'TOO_LARGE', message: /takes more than 10000 ms to read: send fewer/ });
  assert.equal(started[0]!.ended, true);
  started[0]!.answer('too late');
  started[0]!.emit('exit', 1);
  started[1]!.answer(2);
  assert.equal(await next, 2);
  t.mock.timers.tick(60_000);
  assert.deepEqual([started.length, started[1]!.ended], [2, false], 'an idle thread is not ended');
});

test('a real thread that is ended within a body leaves the next one a new thread', async (t) => {
  const parser = createBodyReader(ENTRY, { limitMs: 0 });
  t.after(() => parser.close());
  await assert.rejects(async () => parser.parse(Buffer.from(LARGE[1]!), OWNER), { code: 'TOO_LARGE' });
  await assert.rejects(async () => parser.parse(Buffer.from(LARGE[1]!), OWNER), { code: 'TOO_LARGE' });
});

test('a body whose client left, or whose deadline passed, is dropped before a thread is free', async (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t);
  const [first, leaving, last] = [newOwner(), newOwner(), newOwner()];
  const running = read(parser, SHORT, first);
  const dropped = read(parser, SHORT + 1, leaving);
  const kept = read(parser, SHORT + 2, last);
  leaving.leave();
  await assert.rejects(dropped, { code: 'CLIENT_GONE' });
  // What is being read already is read to its end: nobody may be told that it was not.
  first.leave();
  started[0]!.answer(1);
  assert.equal(await running, 1);
  started[0]!.answer(3);
  assert.equal(await kept, 3);
  assert.deepEqual(started[0]!.posted, [SHORT, SHORT + 2]);
});

test('an owner who is gone before a thread is free is passed over, also without a word', async (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t);
  const running = read(parser, SHORT);
  const leaving = newOwner();
  const dropped = assert.rejects(read(parser, SHORT + 1, leaving), { code: 'CLIENT_GONE' });
  (leaving.cancellation as { cancelled: boolean }).cancelled = true;
  started[0]!.answer(1);
  await Promise.all([running, dropped]);
  assert.deepEqual(started[0]!.posted, [SHORT]);
});

test('there is a thread for each CPU, up to four, and each starts when it is needed', (t) => {
  for (const [cpus, most] of [
    [0.5, 1],
    [1.9, 1],
    [2, 2],
    [3, 3],
    [64, 4],
  ] as const) {
    const started = fakeThreads(t);
    const parser = createBodyReader(ENTRY, { cpus });
    assert.equal(started.length, 0);
    for (let bodies = 1; bodies <= 6; bodies++) {
      read(parser, SHORT);
      assert.equal(started.length, Math.min(bodies, most));
    }
  }
});

test('short bodies go before long ones, and long ones leave a thread for them', async (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t, 2);
  for (const size of [LONG, LONG + 1, SHORT, SHORT + 1, SHORT - 1]) read(parser, size);
  assert.deepEqual(
    started.map(({ posted }) => posted),
    [[LONG], [SHORT]],
  );
  for (let i = 0; i < 2; i++) started[1]!.answer(0);
  assert.deepEqual(started[1]!.posted, [SHORT, SHORT - 1, SHORT + 1]);
  started[1]!.answer(0);
  assert.equal(started[1]!.posted.length, 3, 'the other long body waits for the first');
  started[0]!.answer(0);
  assert.deepEqual(started[0]!.posted, [LONG, LONG + 1]);
});

test('with one thread, a long body waits for no more short ones than come to its own size', (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t);
  read(parser, SHORT);
  read(parser, LONG);
  for (let i = 0; i < 40; i++) {
    read(parser, SHORT);
    started[0]!.answer(0);
  }
  assert.equal(started[0]!.posted.indexOf(LONG), 1 + LONG / SHORT);
});

test('a second long body is read beside the first only where the memory is enough for both', async (t) => {
  for (const [memoryBytes, together] of [
    [40 * LONG - 1, 1],
    [40 * LONG, 2],
  ] as const) {
    const started = fakeThreads(t);
    const parser = newParser(t, 4, memoryBytes);
    for (let i = 0; i < 3; i++) read(parser, LONG);
    assert.equal(started.length, together);
    // Short ones go before, and none of them is counted.
    read(parser, SHORT);
    assert.deepEqual(started.at(-1)!.posted, [SHORT]);
    started[0]!.answer(0);
    assert.deepEqual(started[0]!.posted, [LONG, LONG]);
  }
});

test('a long body that waits for memory and is cancelled lets the next one go that fits', async (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t, 4, 40 * LONG);
  const owner = newOwner();
  read(parser, LONG);
  const dropped = read(parser, 2 * LONG, owner);
  // Two others are all that may overtake it.
  for (let i = 0; i < 3; i++) read(parser, LONG);
  started[1]!.answer(0);
  started[1]!.answer(0);
  assert.deepEqual(started[1]!.posted, [LONG, LONG]);
  owner.leave();
  await assert.rejects(dropped, { code: 'CLIENT_GONE' });
  assert.deepEqual(started[1]!.posted, [LONG, LONG, LONG]);
});

test('a long body is read alone, however little memory there is', (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t, 4, 1);
  const owners = [newOwner(), newOwner(), newOwner()];
  for (const owner of owners) read(parser, LONG, owner, 'features');
  for (const [i, owner] of owners.entries()) {
    assert.deepEqual([started.length, started[0]!.posted.length], [1, i + 1]);
    started[0]!.answer(0);
    owner.releaseResult!();
  }
});

test('what was read of a long body counts until its owner uses it no more; other long bodies wait in their order', (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t, 4, 40 * LONG);
  const owner = newOwner();
  read(parser, LONG, owner, 'features');
  started[0]!.answer(0);
  read(parser, 2 * LONG);
  for (let i = 0; i < 3; i++) read(parser, LONG + 1);
  for (let i = 0; i < 3; i++) started[0]!.answer(0);
  assert.deepEqual(started[0]!.posted, [LONG, LONG + 1], 'it fits beside, but has overtaken the longer one already');
  read(parser, SHORT);
  started[0]!.answer(0);
  assert.deepEqual(started[0]!.posted, [LONG, LONG + 1, SHORT]);
  owner.releaseResult!();
  assert.equal(started[0]!.posted.at(-1), 2 * LONG);
  owner.releaseResult!();
  assert.equal(started.length, 1, 'a second release changes nothing');
});

test('a body that fails, or whose value is not used, takes no memory afterwards', async (t) => {
  const started = fakeThreads(t);
  const parser = newParser(t, 4, 1);
  const failing = assert.rejects(read(parser, LONG, newOwner(), 'features'), { code: 'INVALID_INPUT' });
  started[0]!.emit('message', { error: { code: 'INVALID_INPUT', message: '', path: undefined } });
  await failing;
  const early = newOwner();
  read(parser, LONG, early, 'features');
  early.releaseResult!();
  read(parser, LONG, newOwner(), 'features');
  assert.equal(started[0]!.posted.length, 2);
  started[0]!.answer(0);
  assert.equal(started[0]!.posted.length, 3);
  started[0]!.emit('error', new Error('the thread died'));
  read(parser, LONG);
  assert.deepEqual(started[1]!.posted, [LONG]);
});

test("a body in Buffer's pool is copied out of it, at the same distance from a multiple of 8", async (t) => {
  const parser = newParser(t);
  for (let i = 0; i < 3; i++) {
    const pooled = Buffer.from(`[${i}]`);
    assert.deepEqual(await parser.readInThread(pooled, { as: 'json' }, OWNER), [i]);
    assert.equal(pooled.toString(), `[${i}]`);
  }
  const input = '{"name":"x","datatype":"FP64","shape":[1,2],"parameters":{"binary_data_size":16}}';
  const text = `{"inputs":[${input}]}`;
  const spec = { name: 'x', dtype: 'float64', shape: [-1, 2] } as const;
  const form = { signature: { inputs: [spec], outputs: [] }, names: undefined, joinsRows: true };
  const lead = -text.length & 7;
  const body = Buffer.alloc(lead + text.length + 16 + 100).subarray(lead, lead + text.length + 16);
  body.write(text);
  Buffer.from(Float64Array.of(1.5, -2).buffer).copy(body, text.length);
  const { tensors } = await parser.readInThread<InferRequest>(
    body,
    { as: 'infer', form, textBytes: text.length },
    OWNER,
  );
  const data = tensors[0]!.data as Float64Array;
  assert.deepEqual([...data], [1.5, -2]);
  assert.equal(data.byteOffset, lead + text.length, 'a view of the body, not a copy');
});

const FORM = {
  signature: { inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 300, 300, 3] }], outputs: [] },
  names: undefined,
  joinsRows: true,
} as const;

test('the feeds of a large predict body are decoded in the thread: a channels-last image comes back as one tensor', async (t) => {
  const pixel = [1, 2, 3];
  const image = Array.from({ length: 300 }, () => Array.from({ length: 300 }, () => pixel));
  const feeds = await newParser(t).readFeeds(Buffer.from(JSON.stringify({ features: image })), FORM, OWNER);
  const [tensor] = feeds.tensors;
  assert.deepEqual([feeds.rows, feeds.isRow, tensor!.dims], [1, true, [1, 300, 300, 3]]);
  assert.deepEqual(
    tensor!.data,
    Float32Array.from({ length: 270_000 }, (_, i) => (i % 3) + 1),
  );
});

test('the error in a large predict body has its path, and the next body is read', async (t) => {
  const parser = newParser(t);
  const bad = JSON.stringify({ features: Array.from({ length: 300 }, () => new Array(1000).fill(1)) });
  await assert.rejects(parser.readFeeds(Buffer.from(bad), FORM, OWNER), { code: 'INVALID_INPUT', path: /^features/ });
  const endless = `{"features":[${'[],'.repeat(2_100_000)}[]]}`;
  await assert.rejects(parser.readFeeds(Buffer.from(endless), FORM, OWNER), {
    code: 'INVALID_INPUT',
    message: /more than 2000000/,
  });
  assert.ok(await parser.parse(Buffer.from(LARGE[0]!), OWNER));
});

test('an infer request that is read in the thread comes back as views of its own body', async (t) => {
  const input = (name: string, bytes: number) =>
    `{"name":"${name}","datatype":"UINT8","shape":[1,${bytes}],"parameters":{"binary_data_size":${bytes}}}`;
  const text = `{"inputs":[${input('a', 300_000)},${input('b', 5)}]}`;
  const body = Buffer.concat([Buffer.from(text), Buffer.alloc(300_000, 7), Buffer.of(1, 2, 3, 4, 5)]);
  const spec = (name: string) => ({ name, dtype: 'uint8', shape: [-1, -1] }) as const;
  const form = { signature: { inputs: [spec('a'), spec('b')], outputs: [] }, names: undefined, joinsRows: true };
  const { tensors } = await newParser(t).readInThread<InferRequest>(
    body,
    { as: 'infer', form, textBytes: text.length },
    OWNER,
  );
  const [a, b] = tensors.map(({ data }) => data as Uint8Array);
  assert.deepEqual([a!.length, a![0], [...b!]], [300_000, 7, [1, 2, 3, 4, 5]]);
  assert.equal(a!.buffer, b!.buffer);
  assert.equal(a!.byteOffset, text.length);
});
