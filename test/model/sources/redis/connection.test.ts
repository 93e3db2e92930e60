import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  createCircuitBreaker,
  createRedisConnection,
  RefusedError,
  type Reply,
} from '../../../../functions/model/sources/redis/connection.ts';

type Answer = Reply | Error | 'never';

const OPEN_MS = 30_000;

/** A Redis that answers each command by its name, on a clock of its own that moves 1 ms with each look at it. */
function setUp(answers: Record<string, Answer | (() => Answer)>, connecting: () => Error | 'never' | undefined) {
  const faults: string[] = [];
  const clock = { ms: 0 };
  let connections = 0;
  let commands = 0;
  const settle = <T>(answer: T | Error | 'never'): Promise<T> => {
    if (answer === 'never') return new Promise(() => {});
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as T);
  };
  const connection = createRedisConnection({
    async load() {
      return async (signal) => {
        connections += 1;
        await settle(connecting());
        return {
          isAlive: () => !signal.aborted,
          send([name]) {
            commands += 1;
            const answer = answers[String(name)]!;
            return settle(typeof answer === 'function' ? answer() : answer);
          },
        };
      };
    },
    address: 'redis.example:6379',
    commandMs: 20,
    openMs: OPEN_MS,
    now: () => ++clock.ms,
    onFault: (reason) => void faults.push(reason),
  });
  return { connection, faults, clock, connections: () => connections, commands: () => commands };
}

const fine = (): undefined => undefined;

test('simultaneous commands share a connection', async () => {
  const { connection, connections } = setUp({ PING: 'PONG' }, fine);
  assert.deepEqual(await Promise.all([connection.send(['PING']), connection.send(['PING'])]), ['PONG', 'PONG']);
  assert.equal(await connection.connect(), true);
  assert.equal(connections(), 1);
});

test('commands that time out together are one failure; after the second one Redis is not used', async () => {
  const { connection, faults, commands, connections } = setUp({ GET: 'never' }, fine);
  const replies = await Promise.all([1, 2, 3].map(() => connection.send(['GET'])));
  assert.deepEqual(replies, [undefined, undefined, undefined]);
  assert.equal(await connection.connect(), true);
  assert.equal(await connection.send(['GET']), undefined);
  assert.equal(await connection.connect(), false);
  assert.equal(await connection.send(['GET']), undefined);
  assert.deepEqual([commands(), connections()], [4, 2]);
  assert.deepEqual(faults, [
    'Redis at redis.example:6379: no reply to GET within 20 ms',
    'Redis at redis.example:6379: no reply to GET within 20 ms; Redis is not used for 30 s',
  ]);
});

test('Redis is tried again after the time of the circuit breaker, and a lost connection is replaced', async () => {
  let broken = true;
  const { connection, clock, faults } = setUp({ GET: () => (broken ? new Error('reset') : 'value') }, fine);
  await connection.send(['GET']);
  await connection.send(['GET']);
  assert.equal(await connection.connect(), false);
  broken = false;
  clock.ms += OPEN_MS;
  assert.equal(await connection.send(['GET']), 'value');
  assert.equal(faults.length, 2);
});

test('a connection that cannot be made in time is a failure, once for all commands that wait for it', async () => {
  const { connection, faults, connections } = setUp({}, () => 'never');
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => connection.connect())), [false, false, false]);
  assert.deepEqual([connections(), faults], [1, ['Redis at redis.example:6379: no connection within 20 ms']]);
});

test('a connection that cannot be made has the message of the system or, without one, its code', async () => {
  for (const error of [new Error('ECONNREFUSED'), Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })]) {
    const { connection, faults } = setUp({}, () => error);
    assert.equal(await connection.send(['GET']), undefined);
    assert.deepEqual(faults, ['Redis at redis.example:6379: ECONNREFUSED']);
  }
});

test('replies between two failures do not keep a Redis in use that fails every other command', async () => {
  let n = 0;
  const { connection, commands } = setUp({ GET: () => (++n % 2 === 1 ? new Error('reset') : 'value') }, fine);
  for (let i = 0; i < 6; i++) await connection.send(['GET']);
  assert.equal(commands(), 3);
});

test('an error reply is a failure, and the connection stays', async () => {
  const full = new RefusedError("OOM command not allowed when used memory > 'maxmemory'.");
  const { connection, faults, connections, commands } = setUp({ SET: full, GET: null }, fine);
  for (let i = 0; i < 3; i++) {
    assert.equal(await connection.send(['SET']), undefined);
    assert.equal(await connection.send(['GET']), i === 0 ? null : undefined);
  }
  assert.deepEqual([connections(), commands(), faults.length], [1, 3, 2]);
  assert.match(faults[0]!, /OOM command not allowed/);
});

test('a value of another type is a reply', async () => {
  const { connection, faults } = setUp({ GET: new RefusedError('WRONGTYPE Operation against a key') }, fine);
  assert.equal(await connection.send(['GET']), 'WRONGTYPE');
  assert.deepEqual(faults, []);
});

test('a failure that the caller reports counts as any other', async () => {
  const { connection, faults, clock } = setUp({ GET: 'value' }, fine);
  connection.recordFailure('too slow', clock.ms);
  connection.recordFailure('too slow', clock.ms + 1);
  assert.equal(await connection.send(['GET']), undefined);
  assert.match(faults[1]!, /^Redis at redis\.example:6379: too slow; Redis is not used for 30 s$/);
});

test('a closed connection sends nothing, and reports nothing', async () => {
  const { connection, faults, commands } = setUp({ GET: 'never' }, fine);
  const asked = connection.send(['GET']);
  await new Promise(setImmediate);
  connection.close();
  assert.equal(await asked, undefined);
  assert.equal(await connection.send(['GET']), undefined);
  assert.deepEqual([faults, commands(), await connection.connect()], [[], 1, false]);
});

test('at any times of failures, the circuit breaker allows no third one within its time', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2 * OPEN_MS), { minLength: 3, maxLength: 50 }), (pauses) => {
      let ms = 0;
      const breaker = createCircuitBreaker(OPEN_MS, () => ms);
      const failed: number[] = [];
      for (const pause of pauses) {
        ms += pause;
        if (breaker.isOpen()) continue;
        assert.equal(breaker.recordFailure(ms), true);
        failed.push(ms);
      }
      for (let at = 2; at < failed.length; at++) assert.ok(failed[at]! - failed[at - 2]! >= OPEN_MS, failed.join());
    }),
  );
});

test('commands that were sent before the last failure are part of it', () => {
  let ms = 100;
  const breaker = createCircuitBreaker(OPEN_MS, () => ms);
  assert.equal(breaker.recordFailure(90), true);
  assert.equal(breaker.recordFailure(99), false);
  assert.equal(breaker.isOpen(), false);
  ms = 110;
  assert.equal(breaker.recordFailure(100), true);
  assert.equal(breaker.isOpen(), true);
});
