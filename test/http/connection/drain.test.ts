import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { drain } from '../../../functions/http/connection/drain.ts';
import { until } from '../../helpers/until.ts';

/** What `drain` uses of a connection. */
class FakeSocket {
  timeout: number | undefined;
  destroyed = false;
  readonly writableLength: number;

  constructor(writableLength: number) {
    this.writableLength = writableLength;
  }

  setTimeout(ms: number): void {
    this.timeout = ms;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

function start(sockets: readonly FakeSocket[], timeoutMs: number) {
  const server = new EventEmitter();
  const reasons: string[] = [];
  const ended = drain({
    server: server as never,
    busy: () => sockets.filter(({ destroyed }) => !destroyed) as never,
    timeoutMs,
    onClose: (reason) => void reasons.push(reason),
  });
  return { server, reasons, ended };
}

test('of connections on which nothing moves, those are closed that have something to read, each counted once', async () => {
  const [unread, working] = [new FakeSocket(1), new FakeSocket(0)];
  const { server, reasons, ended } = start([unread, working], 600_000);
  for (const socket of [unread, working, unread]) server.emit('timeout', socket);
  assert.deepEqual([unread.destroyed, working.destroyed], [true, false]);
  assert.deepEqual(reasons, ['response_not_read']);
  working.destroy();
  assert.equal(await ended, true);
});

test('a connection has the short time for its whole response, whatever time is set for it meanwhile', async () => {
  const socket = new FakeSocket(0);
  const { ended } = start([socket], 600_000);
  const ms = socket.timeout!;
  assert.ok(ms > 0 && ms < 5000, `${ms} ms`);
  socket.setTimeout(600_000);
  await until(() => socket.timeout === ms, 'the short time');
  socket.destroy();
  assert.equal(await ended, true);
});

test('what is in flight after the time for it is reported', async () => {
  assert.equal(await start([new FakeSocket(0)], 50).ended, false);
});
