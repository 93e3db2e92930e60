import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, type TestContext, test } from 'node:test';
import type { ServingError } from '../../functions/errors.ts';
import { type Job, type ReadingThread, startReadingThread } from '../../functions/routes/reading-thread.ts';

/** In the place of body-thread.ts: what the thread does is the text of the body. */
const SCRIPT = `
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ bytes, reading }) => {
    const order = Buffer.from(bytes).toString();
    if (order === 'echo') parentPort.postMessage({ value: { length: bytes.length, as: reading.as } });
    else if (order.startsWith('{')) parentPort.postMessage({ error: JSON.parse(order) });
    else if (order === 'exit') process.exit(3);
    else if (order === 'throw') throw new TypeError('a bug');
    else if (order === 'memory') throw Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' });
  });
`;
const ENTRY = new URL(`data:text/javascript,${encodeURIComponent(SCRIPT)}`);
/** Real threads are far from it, on a busy machine too. */
const LIMIT_MS = 60_000;

// A thread does not keep the process alive: a server's socket does. Here this does.
let alive: NodeJS.Timeout;
before(() => {
  alive = setInterval(() => {}, 60_000);
});
after(() => clearInterval(alive));

type Event = readonly [name: 'read' | 'refused' | 'end', body: string | undefined, value: unknown];

function start(t: TestContext) {
  const happened: Event[] = [];
  const emitter = new EventEmitter();
  const record = (...event: Event): void => {
    happened.push(event);
    emitter.emit(event[0]);
  };
  const exited = new Promise<unknown>((resolve) => {
    process.once('worker', (worker) => worker.once('exit', resolve));
  });
  const thread: ReadingThread<string> = startReadingThread<string>(ENTRY, LIMIT_MS, {
    onRead: (body, value) => record('read', body, value),
    onRefused: (body, error) => record('refused', body, error),
    onEnd: (body, cause) => record('end', body, cause),
  });
  t.after(() => thread.terminate());
  return { thread, happened, exited, next: (name: Event[0]) => once(emitter, name) };
}

function job(order: string): Job {
  const bytes = new Uint8Array(order.length);
  bytes.set(Buffer.from(order));
  return { bytes, reading: { as: 'json' } };
}

test('a thread reads one body after another, and has none between them', async (t) => {
  const { thread, happened, next } = start(t);
  assert.equal(thread.body, undefined);
  const sent = job('echo');
  thread.read('first', sent);
  assert.deepEqual([thread.body, sent.bytes.length], ['first', 0], 'the memory is transferred');
  await next('read');
  assert.equal(thread.body, undefined);
  thread.read('second', job('echo'));
  await next('read');
  const value = { length: 4, as: 'json' };
  assert.deepEqual(happened, [
    ['read', 'first', value],
    ['read', 'second', value],
  ]);
});

test('a refusal has the code, the message and the path that it had in the thread', async (t) => {
  const { thread, happened, next } = start(t);
  for (const path of ['features[2]', undefined]) {
    const error = { code: 'INVALID_INPUT', message: 'no', path };
    thread.read('body', job(JSON.stringify(error)));
    await next('refused');
    const { code, message, path: given } = happened.at(-1)![2] as ServingError;
    assert.deepEqual({ code, message, path: given }, error);
  }
  assert.equal(thread.body, undefined);
});

for (const [order, cause] of [
  ['exit', { message: 'the reading thread ended' }],
  ['throw', { name: 'TypeError', message: 'a bug' }],
  ['memory', { code: 'TOO_LARGE', message: /takes more memory to read than there is: send fewer or larger values/ }],
] as const) {
  test(`a thread that ends by "${order}" is reported once, with the body that it was reading`, async (t) => {
    const { thread, happened, exited } = start(t);
    thread.read('body', job(order));
    // After an error, too.
    await exited;
    assert.equal(happened.length, 1);
    const [name, body, error] = happened[0]!;
    assert.deepEqual([name, body, thread.body], ['end', 'body', undefined]);
    assert.throws(() => {
      throw error;
    }, cause);
  });
}

test('an idle thread that ends had no body', async (t) => {
  const { thread, happened, next } = start(t);
  thread.terminate();
  await next('end');
  assert.deepEqual(happened[0]!.slice(0, 2), ['end', undefined]);
});

test('a thread that reads one body for too long is ended; time for earlier bodies and idle time do not count', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { thread, happened, next } = start(t);
  thread.read('quick', job('echo'));
  t.mock.timers.tick(LIMIT_MS - 1);
  await next('read');
  t.mock.timers.tick(LIMIT_MS);
  assert.equal(happened.length, 1, 'an idle thread is not ended');
  thread.read('slow', job('never answered'));
  t.mock.timers.tick(LIMIT_MS - 1);
  assert.equal(thread.body, 'slow');
  t.mock.timers.tick(1);
  const [name, body, error] = happened[1]!;
  const { code, message } = error as ServingError;
  assert.deepEqual([name, body, code], ['end', 'slow', 'TOO_LARGE']);
  assert.match(message, /^the body takes more than 60000 ms to read: send fewer or larger values/);
});

test('a thread has no body after one that could not be sent to it', (t) => {
  const { thread, happened } = start(t);
  const gone = job('echo');
  structuredClone(gone.bytes, { transfer: [gone.bytes.buffer] });
  assert.throws(() => thread.read('body', gone), { name: 'DataCloneError' });
  assert.deepEqual([thread.body, happened], [undefined, []]);
});
