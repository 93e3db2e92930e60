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

test('an idle connection is closed and counted once if it has a response to read, and kept if its response is being made', async () => {
  const [unread, working] = [new FakeSocket(1), new FakeSocket(0)];
  const { server, reasons, ended } = start([unread, working], 600_000);
  for (const socket of [unread, working, unread]) server.emit('timeout', socket);
  assert.deepEqual([unread.destroyed, working.destroyed], [true, false]);
  assert.deepEqual(reasons, ['response_not_read']);
  working.destroy();
  assert.equal(await ended, true);
});

test('the idle time of a connection stays short, whatever time is set for it meanwhile', async () => {
  const socket = new FakeSocket(0);
  const { ended } = start([socket], 600_000);
  const ms = socket.timeout!;
  assert.ok(ms > 0 && ms < 5000, `${ms} ms`);
  socket.setTimeout(600_000);
  await until(() => socket.timeout === ms, 'the short time');
  socket.destroy();
  assert.equal(await ended, true);
});

test('requests that are in flight at the end of the time are reported', async () => {
  assert.equal(await start([new FakeSocket(0)], 50).ended, false);
});
