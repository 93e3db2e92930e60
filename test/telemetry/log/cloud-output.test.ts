import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CloudClient, createCloudOutput } from '../../../functions/telemetry/log/cloud-output.ts';
import { makeEntry, makeRequestEntry } from '../../../functions/telemetry/log/log-entry.ts';
import type { StdoutOutput } from '../../../functions/telemetry/log/stdout-output.ts';

type Done = (error?: Error | null) => void;

function fakeStdout() {
  const lines: string[] = [];
  const output: StdoutOutput = {
    format: (entry) => `${entry.severity} ${entry.message}`,
    write: (_, line) => void lines.push(line),
    flush: async () => {},
    dropped: () => 0,
    drain: () => {},
  };
  return { output, messages: () => lines };
}

/** A client whose answers the test gives. */
function fakeClient() {
  const sent: { info: Record<string, unknown>; done: Done }[] = [];
  const client: CloudClient = { log: (info, done) => void sent.push({ info: info as Record<string, unknown>, done }) };
  return { client, sent };
}

const info = (message: string) => makeEntry('info', message, {}, undefined);
const loaded = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const GIVEN_UP = 'WARNING Cloud Logging cannot be used; lines are written to stdout instead';
const REFUSED = 'WARNING the Cloud Logging API refuses lines; they are written to stdout instead';

test('lines wait for the client to load, are sent to it in order, and flush waits for its responses', async () => {
  const { client, sent } = fakeClient();
  const stdout = fakeStdout();
  const cloud = createCloudOutput({ fallback: stdout.output, load: async () => client });
  cloud.write(info('a'));
  cloud.write(info('b'));
  await loaded();
  cloud.write(info('c'));
  assert.deepEqual(
    sent.map((one) => one.info.message),
    ['a', 'b', 'c'],
  );
  let flushed = false;
  const flush = cloud.flush(60_000).then(() => {
    flushed = true;
  });
  await loaded();
  assert.equal(flushed, false);
  for (const { done } of sent) done(null);
  await flush;
  assert.deepEqual(stdout.messages(), []);
});

test('an entry has the shape the API takes', async () => {
  const { client, sent } = fakeClient();
  const cloud = createCloudOutput({ fallback: fakeStdout().output, load: async () => client });
  const request = {
    method: 'GET',
    path: '/',
    status: 500,
    seconds: 1.00025,
    error: new Error('why'),
    model: undefined,
  };
  const entry = makeRequestEntry(request, undefined);
  cloud.write(entry);
  await loaded();
  const { level, timestamp, httpRequest, stack, ...rest } = sent[0]!.info;
  assert.equal(level, 'error');
  assert.deepEqual(timestamp, new Date(entry.time));
  assert.deepEqual((httpRequest as { latency: object }).latency, { seconds: 1, nanos: 250_000 });
  assert.match(stack as string, /^Error: why\n/);
  assert.deepEqual(rest, { message: 'GET / 500' });
  sent[0]!.done(null);
});

test('a client that does not load leaves all lines to stdout, after one warning', async () => {
  const stdout = fakeStdout();
  const load = () => Promise.reject(new Error('no such module'));
  const cloud = createCloudOutput({ fallback: stdout.output, load });
  cloud.write(info('a'));
  cloud.write(info('b'));
  await cloud.flush(60_000);
  cloud.write(info('c'));
  assert.deepEqual(stdout.messages(), [GIVEN_UP, 'INFO a', 'INFO b', 'INFO c']);
});

test('a first answer that is an error gives the client up, and no line is lost or doubled', async () => {
  const { client, sent } = fakeClient();
  const stdout = fakeStdout();
  const cloud = createCloudOutput({ fallback: stdout.output, load: async () => client });
  cloud.write(info('a'));
  cloud.write(info('b'));
  await loaded();
  for (const { done } of sent) done(new Error('permission denied'));
  cloud.write(info('c'));
  assert.deepEqual(stdout.messages(), [GIVEN_UP, 'INFO a', 'INFO b', 'INFO c']);
});

test('a client that throws is abandoned like one whose response is an error', async () => {
  const stdout = fakeStdout();
  const client: CloudClient = {
    log() {
      throw new Error('unknown level');
    },
  };
  const cloud = createCloudOutput({ fallback: stdout.output, load: async () => client });
  cloud.write(info('a'));
  await cloud.flush(60_000);
  assert.deepEqual(stdout.messages(), [GIVEN_UP, 'INFO a']);
});

test('later failures send their lines to stdout with one warning a streak, and the client is used on', async () => {
  const { client, sent } = fakeClient();
  const stdout = fakeStdout();
  const cloud = createCloudOutput({ fallback: stdout.output, load: async () => client });
  const answers = [null, new Error('x'), new Error('x'), null, new Error('x')];
  for (const i of answers.keys()) cloud.write(info(String(i)));
  await loaded();
  for (const [i, answer] of answers.entries()) sent[i]!.done(answer);
  assert.deepEqual(stdout.messages(), [REFUSED, 'INFO 1', 'INFO 2', REFUSED, 'INFO 4']);
});

test('an API that does not answer holds a thousand lines, and the rest go to stdout', async (t) => {
  const before = new Set(process.listeners('exit'));
  const { client, sent } = fakeClient();
  const stdout = fakeStdout();
  const cloud = createCloudOutput({ fallback: stdout.output, load: async () => client });
  for (let i = 0; i < 1003; i++) cloud.write(info(String(i)));
  assert.deepEqual(stdout.messages(), ['INFO 1000', 'INFO 1001', 'INFO 1002']);
  await loaded();
  await t.test('and those not answered at exit are written to stdout then', () => {
    const added = process.listeners('exit').filter((listener) => !before.has(listener));
    for (const listener of added) listener.call(process, 0);
    assert.equal(stdout.messages().length, 1003);
    assert.equal(stdout.messages()[3], 'INFO 0');
  });
  for (const { done } of sent) done(null);
});
