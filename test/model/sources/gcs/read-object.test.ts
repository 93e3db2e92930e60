import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../../helpers/storage-faults.ts';
import { until } from '../../../helpers/until.ts';
import { find, pattern, readRange, rejectsWith } from '../contract.ts';
import { BYTES, NEVER, PATH, PLACES, readSome, SIZE, STALL_MS, setUp, untilStalled, useClock } from '../gcs-kit.ts';

for (const [where, at] of Object.entries(PLACES)) {
  for (const type of ['reset', 'short', 'stall'] as const) {
    test(`${type} at the ${where}: transient, only bytes before it are delivered, and the rest can be read`, async (t) => {
      const { server, source, entry } = await setUp(t);
      server.inject({ type, kind: 'media', at });
      const read = (): ReturnType<typeof readSome> => readSome(source, entry);
      const { taken, error } = await (type === 'stall' ? untilStalled(server, useClock(t), read) : read());
      assert.equal(error?.fault, 'transient');
      assert.ok(taken <= at, `${taken} of ${at}`);
      if (type === 'stall') assert.match(error.message, /gs:\/\/models\/m\/model\.onnx: no byte for 10 s/);
      if (type === 'short') assert.match(error.message, new RegExp(`ended after ${at} of ${SIZE} bytes`));
      await server.requests.at(-1)!.closed;
      assert.deepEqual(await readSome(source, entry, taken), { taken: SIZE - taken, error: undefined });
    });
  }

  test(`an upload while it is read, at the ${where}: transient, then changed`, async (t) => {
    const { server, source, entry } = await setUp(t);
    server.inject({ type: 'replace', kind: 'media', at, bytes: pattern(SIZE, 9) });
    const { taken, error } = await readSome(source, entry);
    assert.equal(error?.fault, 'transient');
    assert.equal((await readSome(source, entry, taken)).error?.fault, 'changed');
    const { query, status } = server.requests.at(-1)!;
    assert.deepEqual([query.get('generation'), status], [entry.stamp, 404]);
  });

  test(`a flipped bit at the ${where} is passed on as it arrived: the caller checks checksums`, async (t) => {
    const { server, source, entry } = await setUp(t);
    server.inject({ type: 'flip', kind: 'media', at });
    const expected = Buffer.from(BYTES);
    expected[at]! ^= 1;
    assert.ok((await readRange(source, entry)).equals(expected));
  });

  test(`a read waits for a delay at the ${where}`, async (t) => {
    const { server, source, entry } = await setUp(t);
    server.inject({ type: 'delay', kind: 'media', at, ms: 30 });
    assert.deepEqual(await readSome(source, entry), { taken: SIZE, error: undefined });
  });

  test(`a range from the ${where} gives its own bytes if the response has the entire object`, async (t) => {
    const { server, source, entry } = await setUp(t);
    server.inject({ type: 'ignore-range', kind: 'media', times: 2 });
    assert.deepEqual(await readSome(source, entry, at), { taken: SIZE - at, error: undefined });
    assert.deepEqual(await readRange(source, entry, at, at + 1), BYTES.subarray(at, at + 1));
    assert.equal(server.requests.at(-1)?.status, 200);
  });
}

for (const type of ['reset', 'stall'] as const) {
  test(`${type} before the headers of the response: transient, for reading and for listing`, async (t) => {
    const { server, source, entry } = await setUp(t);
    const pass = useClock(t);
    server.inject({ type, times: 2 });
    const { error } = await untilStalled(server, pass, () => readSome(source, entry));
    assert.deepEqual(error?.fault, 'transient');
    await server.requests.at(-1)!.closed;
    const listing = untilStalled(server, pass, () => source.list(NEVER));
    await rejectsWith(listing, 'transient', /^gs:\/\/models: /);
    await server.requests.at(-1)!.closed;
    assert.equal((await source.list(NEVER)).length, 1);
  });

  test(`${type} within a listing: transient`, async (t) => {
    const { server, source } = await setUp(t);
    server.inject({ type, kind: 'list', at: 50 });
    await rejectsWith(
      untilStalled(server, useClock(t), () => source.list(NEVER)),
      'transient',
    );
    await server.requests.at(-1)!.closed;
  });
}

test('never delivers more than was requested, however much is sent', async (t) => {
  const { server, source, entry } = await setUp(t);
  server.inject({ type: 'long', kind: 'media', extra: 300_000, times: 2 });
  assert.ok((await readRange(source, entry)).equals(BYTES));
  assert.deepEqual(await readRange(source, entry, 10, 20), BYTES.subarray(10, 20));
});

test('a failure of one read does not affect the others', async (t) => {
  let delayed = Promise.withResolvers<void>();
  const clock = { now: () => 0, sleep: () => delayed.promise };
  const { server, source, entry } = await setUp(t, { clock });
  server.put('models', 'other', BYTES);
  const other = await find(source, 'other');
  const pass = useClock(t);
  for (const type of ['stall', 'reset'] as const) {
    delayed = Promise.withResolvers();
    server.inject({ type, kind: 'media', name: PATH, at: PLACES.middle });
    server.inject({ type: 'delay', kind: 'media', name: 'other', at: PLACES.middle, ms: 1 });
    const halves = [entry, other].map(() => Promise.withResolvers<void>());
    const [failed, whole] = [entry, other].map((one, i) =>
      readSome(source, one, 0, (at) => {
        if (at === PLACES.middle) halves[i]!.resolve();
      }).finally(halves[i]!.resolve),
    );
    await Promise.all(halves.map(({ promise }) => promise));
    pass(STALL_MS - 1);
    delayed.resolve();
    assert.equal((await whole!).taken, SIZE);
    pass(1);
    assert.equal((await failed!).error?.fault, 'transient');
  }
});

test('a receiver that is slower than the stall timer is no stall', async (t) => {
  const { source, entry } = await setUp(t);
  const pass = useClock(t);
  let taken = 0;
  const take = (chunk: Uint8Array): void => {
    if (taken === 0) pass(25_000);
    taken += chunk.length;
  };
  await source.read(entry, 0, SIZE, take, NEVER);
  assert.equal(taken, SIZE);
});

test('bytes that keep arriving are no stall, however long it takes', async (t) => {
  const { source, entry } = await setUp(t);
  const pass = useClock(t);
  let chunks = 0;
  const take = (): void => {
    chunks += 1;
    pass(6_000);
  };
  await source.read(entry, 0, SIZE, take, NEVER);
  assert.ok(chunks > 2, `${chunks} chunks`);
});

test('an abort rejects at once, and closes the connection: before the headers and within the body, reading and listing', async (t) => {
  const { server, source, entry } = await setUp(t);
  const reason = new Error('enough');
  const stalls: Fault[] = [
    { type: 'stall', kind: 'media' },
    { type: 'stall', kind: 'media', at: PLACES.middle },
    { type: 'stall', kind: 'list' },
    { type: 'stall', kind: 'list', at: 10 },
  ];
  for (const fault of stalls) {
    server.inject(fault);
    const stop = new AbortController();
    const before = server.requests.length;
    const { signal } = stop;
    const failed = assert.rejects(
      fault.kind === 'list' ? source.list(signal) : source.read(entry, 0, SIZE, () => {}, signal),
      reason,
    );
    await until(() => server.requests.length > before, 'the request');
    stop.abort(reason);
    await failed;
    await server.requests.at(-1)!.closed;
  }
  // Before the client has come so far as to make a request.
  const stop = new AbortController();
  const failed = assert.rejects(
    source.read(entry, 0, SIZE, () => assert.fail('handed bytes on'), stop.signal),
    reason,
  );
  await null;
  stop.abort(reason);
  await failed;
});

test('closing ends the requests under way', async (t) => {
  const { server, source, entry } = await setUp(t);
  server.inject({ type: 'stall', kind: 'media', at: 10 });
  const failed = rejectsWith(
    source.read(entry, 0, SIZE, () => {}, NEVER),
    'transient',
    /closed/,
  );
  await until(() => server.requests.length > 1, 'the request');
  await source.close();
  await failed;
  await server.requests.at(-1)!.closed;
});
