import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEvent } from '../../../../functions/model/sources/redis/cache-event.ts';
import { createLink, RefusedError, type Reply } from '../../../../functions/model/sources/redis/connection.ts';

type Answer = Reply | Error | 'never';

/** A Redis that answers each command by its name, and how often it was connected to. */
function setUp(
  answers: Record<string, Answer | (() => Answer)>,
  connecting: (n: number) => Error | 'never' | undefined,
) {
  const events: Extract<CacheEvent, { kind: 'fault' }>[] = [];
  let connections = 0;
  let commands = 0;
  const settle = <T>(answer: T | Error | 'never'): Promise<T> => {
    if (answer === 'never') return new Promise(() => {});
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as T);
  };
  const link = createLink({
    async load() {
      return async (signal) => {
        connections += 1;
        await settle(connecting(connections));
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
    where: 'redis.example:6379',
    commandMs: 20,
    restMs: 60_000,
    onEvent: (event) => void (event.kind === 'fault' && events.push(event)),
  });
  return { link, events, connections: () => connections, commands: () => commands };
}

const fine = (): undefined => undefined;

test('commands at once share a connection', async () => {
  const { link, connections } = setUp({ PING: 'PONG' }, fine);
  assert.deepEqual(await Promise.all([link.ask(['PING']), link.store(['PING'])]), ['PONG', 'PONG']);
  assert.equal(await link.ask(['PING']), 'PONG');
  assert.equal(connections(), 1);
});

test('commands that time out at once are one fault; with the second in a row Redis is left alone', async () => {
  const { link, events, commands, connections } = setUp({ GET: 'never' }, fine);
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => link.ask(['GET']))), [undefined, undefined, undefined]);
  assert.equal(link.isLeftAlone(), false);
  assert.equal(await link.ask(['GET']), undefined);
  assert.equal(link.isLeftAlone(), true);
  assert.equal(await link.ask(['GET']), undefined);
  assert.deepEqual([commands(), connections()], [4, 2]);
  assert.deepEqual(events, [
    { kind: 'fault', fault: 'timeout', reason: 'Redis at redis.example:6379: no answer to GET within 20 ms' },
    {
      kind: 'fault',
      fault: 'timeout',
      reason: 'Redis at redis.example:6379: no answer to GET within 20 ms; left alone for 60 s',
    },
  ]);
});

test('a connection that cannot be made in time is a fault, once for all who wait for it', async () => {
  const { link, events, connections } = setUp({}, () => 'never');
  await Promise.all([1, 2, 3].map(() => link.ask(['GET'])));
  assert.deepEqual([connections(), events.length, events[0]?.fault], [1, 1, 'timeout']);
});

test('an answer between two faults parts them', async () => {
  let n = 0;
  const { link, events } = setUp({ GET: () => (++n % 2 === 1 ? new Error('reset') : 'value') }, fine);
  for (let i = 0; i < 6; i++) await link.ask(['GET']);
  assert.equal(link.isLeftAlone(), false);
  assert.deepEqual(
    events.map(({ fault }) => fault),
    ['broken', 'broken', 'broken'],
  );
});

test('a Redis that takes nothing more is still asked', async () => {
  const full = new RefusedError("OOM command not allowed when used memory > 'maxmemory'.");
  const { link, events, connections, commands } = setUp({ SET: full, GET: null }, fine);
  for (let i = 0; i < 3; i++) {
    assert.equal(await link.store(['SET']), undefined);
    assert.equal(await link.ask(['GET']), null);
  }
  assert.deepEqual([link.isLeftAlone(), link.isClosedToStores()], [false, true]);
  assert.deepEqual([connections(), commands()], [1, 5]);
  assert.match(events[1]!.reason, /; nothing is stored for 60 s$/);
});

test('a value of another type is an answer', async () => {
  const { link, events } = setUp({ GET: new RefusedError('WRONGTYPE Operation against a key') }, fine);
  assert.equal(await link.ask(['GET']), 'WRONGTYPE');
  assert.deepEqual(events, []);
});

const FAULTS: [error: Error, fault: string][] = [
  [new RefusedError('OOM command not allowed'), 'full'],
  [new RefusedError('ERR Error running script: @user_script:1: -OOM command not allowed'), 'full'],
  [new RefusedError("READONLY You can't write against a read only replica."), 'readonly'],
  [new RefusedError('NOAUTH Authentication required.'), 'denied'],
  [new RefusedError('WRONGPASS invalid username-password pair'), 'denied'],
  [new RefusedError("NOPERM this user has no permissions to run the 'eval' command"), 'denied'],
  [new RefusedError('LOADING Redis is loading the dataset in memory'), 'refused'],
  [Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), 'tls'],
  [Object.assign(new Error('wrong version number'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }), 'tls'],
  [Object.assign(new Error('before secure TLS connection was established'), { code: 'ECONNRESET' }), 'tls'],
  [Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' }), 'unreachable'],
];

for (const [error, fault] of FAULTS) {
  test(`a connection that fails with "${error.message}" is ${fault}`, async () => {
    const { link, events } = setUp({}, () => error);
    assert.equal(await link.ask(['GET']), undefined);
    assert.equal(events[0]?.fault, fault);
    assert.equal(events[0]?.reason, `Redis at redis.example:6379: ${error.message || 'ECONNREFUSED'}`);
  });
}

test('once it is closed nothing is sent, and nothing is told', async () => {
  const { link, events, commands } = setUp({ GET: 'never' }, fine);
  const asked = link.ask(['GET']);
  await new Promise(setImmediate);
  link.close();
  assert.equal(await asked, undefined);
  assert.equal(await link.ask(['GET']), undefined);
  assert.deepEqual([events, commands(), link.isLeftAlone()], [[], 1, true]);
});
