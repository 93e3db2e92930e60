import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { after, before, test } from 'node:test';
import threads from 'node:worker_threads';
import { type JsonValue, readJson } from '../../functions/engine/json-reader.ts';
import { createJsonParser, type JsonParser } from '../../functions/http/json-body.ts';
import type { InferRequest } from '../../functions/routes/open-inference/request.ts';

// The parsing thread does not keep a process alive: a server's socket does. Here this does.
let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 60_000);
});
after(() => clearInterval(alive));

const numbers = Array.from({ length: 60_000 }, (_, i) => i / 7);
const LARGE = [
  JSON.stringify({ features: numbers, name: 'å', nested: [[1.5, 2, 3], { a: numbers.slice(0, 100) }] }),
  JSON.stringify(Array.from({ length: 30_000 }, (_, i) => ({ features: [i, -i, 0.5], id: `row ${i}` }))),
  `[9007199254740993,${'1,   '.repeat(60_000)}-9007199254740993]`,
  `{"__proto__":{"a":1},"pad":"${'x'.repeat(300_000)}"}`,
];

function newParser(t: { after(fn: () => void): void }): JsonParser {
  const parser = createJsonParser();
  t.after(() => parser.close());
  return parser;
}

test('a small body is parsed at once', (t) => {
  const parsed = newParser(t).parse(Buffer.from('{"features":[1,2]}'));
  assert.ok(!(parsed instanceof Promise));
  assert.deepEqual(parsed, readJson(Buffer.from('{"features":[1,2]}')));
});

test('a large body is parsed in a thread, to the same value', async (t) => {
  const parser = newParser(t);
  for (const text of LARGE) {
    assert.ok(text.length >= 262_144);
    const parsed = parser.parse(Buffer.from(text));
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
    Array.from({ length: 20 }, (_, i) => parser.parse(Buffer.from(`{"id":${i},"pad":"${pad}"}`))),
  );
  assert.deepEqual(
    values.map((value) => (value as { id: number }).id),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("a large body's own memory is given to the thread; a part of shared memory is copied", async (t) => {
  const parser = newParser(t);
  const text = LARGE[0]!;
  const own = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  own.write(text);
  await parser.parse(own);
  assert.equal(own.length, 0);
  const shared = Buffer.from(` ${text}`);
  const part = shared.subarray(1);
  await parser.parse(part);
  assert.equal(part.toString(), text);
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
    async () => parser.parse(Buffer.from(text)),
    (error) => told(error) === expected,
  );
  assert.ok(await parser.parse(Buffer.from(LARGE[0]!)), 'the thread lives on');
});

test('a thread that ends fails what it was parsing, and the next body gets a new one', async (t) => {
  const parser = newParser(t);
  const parsed = parser.parse(Buffer.from(LARGE[1]!));
  parser.close();
  await assert.rejects(async () => parsed, /thread ended/);
  assert.ok(await parser.parse(Buffer.from(LARGE[0]!)));
});

test('a thread that dies takes nothing with it that its successor parses', async (t) => {
  const started: FakeThread[] = [];
  class FakeThread extends EventEmitter {
    readonly posted: { id: number }[] = [];
    constructor() {
      super();
      started.push(this);
    }
    unref(): void {}
    terminate(): void {}
    postMessage(message: { id: number }): void {
      this.posted.push(message);
    }
  }
  const { Worker } = threads;
  const replaceWith = (thread: unknown): void => {
    Object.assign(threads, { Worker: thread });
    syncBuiltinESMExports();
  };
  replaceWith(FakeThread);
  t.after(() => replaceWith(Worker));
  const parser = newParser(t);
  const lost = assert.rejects(async () => parser.parse(Buffer.from(LARGE[0]!)), /out of memory/);
  started[0]!.emit('error', new Error('out of memory'));
  await lost;
  const kept = parser.parse(Buffer.from(LARGE[0]!));
  started[0]!.emit('exit', 1);
  assert.equal(started.length, 2);
  started[1]!.emit('message', { id: started[1]!.posted[0]!.id, value: 5 });
  assert.equal(await kept, 5);
  assert.ok(parser.parse(Buffer.from(LARGE[0]!)) instanceof Promise);
  assert.deepEqual([started.length, started[1]!.posted.length], [2, 2], 'the successor is kept');
});

const FORM = {
  signature: { inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 300, 300, 3] }], outputs: [] },
  names: undefined,
  joined: true,
} as const;

test('the feeds of a large predict body are decoded in the thread: a channels-last image comes back as one tensor', async (t) => {
  const pixel = [1, 2, 3];
  const image = Array.from({ length: 300 }, () => Array.from({ length: 300 }, () => pixel));
  const feeds = await newParser(t).readFeeds(Buffer.from(JSON.stringify({ features: image })), FORM);
  const [tensor] = feeds.tensors;
  assert.deepEqual([feeds.rows, feeds.isRow, tensor!.dims], [1, true, [1, 300, 300, 3]]);
  assert.deepEqual(
    tensor!.data,
    Float32Array.from({ length: 270_000 }, (_, i) => (i % 3) + 1),
  );
});

test('what is wrong in a large predict body is told with its path, and the next body is read', async (t) => {
  const parser = newParser(t);
  const bad = JSON.stringify({ features: Array.from({ length: 300 }, () => new Array(1000).fill(1)) });
  await assert.rejects(parser.readFeeds(Buffer.from(bad), FORM), { code: 'INVALID_INPUT', path: /^features/ });
  const endless = `{"features":[${'[],'.repeat(2_100_000)}[]]}`;
  await assert.rejects(parser.readFeeds(Buffer.from(endless), FORM), {
    code: 'INVALID_INPUT',
    message: /more than 2000000/,
  });
  assert.ok(await parser.parse(Buffer.from(LARGE[0]!)));
});

test('an infer request that is read in the thread comes back as views of its own body', async (t) => {
  const input = (name: string, bytes: number) =>
    `{"name":"${name}","datatype":"UINT8","shape":[1,${bytes}],"parameters":{"binary_data_size":${bytes}}}`;
  const text = `{"inputs":[${input('a', 300_000)},${input('b', 5)}]}`;
  const body = Buffer.concat([Buffer.from(text), Buffer.alloc(300_000, 7), Buffer.of(1, 2, 3, 4, 5)]);
  const spec = (name: string) => ({ name, dtype: 'uint8', shape: [-1, -1] }) as const;
  const form = { signature: { inputs: [spec('a'), spec('b')], outputs: [] }, names: undefined, joined: true };
  const { tensors } = await newParser(t).readAside<InferRequest>(body, { as: 'infer', form, textBytes: text.length });
  const [a, b] = tensors.map(({ data }) => data as Uint8Array);
  assert.deepEqual([a!.length, a![0], [...b!]], [300_000, 7, [1, 2, 3, 4, 5]]);
  assert.equal(a!.buffer, b!.buffer);
  assert.equal(a!.byteOffset, text.length);
});
