import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createPieceReader } from '../../../functions/http/body/pieces.ts';

/** A request whose body is made as it is read. `read()` tells how many pieces were asked of it. */
function bodyOf(count: number) {
  let made = 0;
  const stream = new Readable({
    highWaterMark: 1,
    read() {
      this.push(made < count ? Buffer.from(`piece ${made++}`) : null);
    },
  });
  return { req: stream as unknown as IncomingMessage, stream, made: () => made };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn();
}

test('pieces come in order, then nothing more', async () => {
  const reader = createPieceReader(bodyOf(3).req);
  const pieces: (string | undefined)[] = [];
  for (let i = 0; i < 5; i++) pieces.push((await reader.next())?.toString());
  assert.deepEqual(pieces, ['piece 0', 'piece 1', 'piece 2', undefined, undefined]);
});

test('pieces that are not requested are not read: the client has to wait', async () => {
  const { req, made } = bodyOf(1000);
  const reader = createPieceReader(req);
  await settle();
  assert.equal(made(), 0, 'pieces read before one was asked for');
  for (let i = 1; i <= 20; i++) {
    assert.ok(await reader.next());
    await settle();
    assert.ok(made() <= 2 + i, `${made()} pieces read, ${i} asked for`);
  }
});

test('after a stop the rest is discarded, and a pending read ends', async () => {
  const { req, made } = bodyOf(50);
  const reader = createPieceReader(req);
  assert.ok(await reader.next());
  reader.stop();
  assert.equal(await reader.next(), undefined);
  await settle();
  assert.equal(made(), 50, 'the client gets rid of all it has to send');

  const silent = new Readable({ read() {} });
  const waiting = createPieceReader(silent as unknown as IncomingMessage);
  const next = waiting.next();
  waiting.stop();
  assert.equal(await next, undefined);
});

test('a client that has gone ends the pieces', async () => {
  const silent = new Readable({ read() {} });
  const reader = createPieceReader(silent as unknown as IncomingMessage);
  silent.push(Buffer.from('one'));
  assert.equal(String(await reader.next()), 'one');
  const next = reader.next();
  silent.destroy(new Error('aborted'));
  assert.equal(await next, undefined);
  assert.equal(await reader.next(), undefined);
});

test('what the functions framework has read already comes in pieces as well', async () => {
  for (const size of [0, 1, 65_536, 200_000]) {
    const rawBody = Buffer.alloc(size, 'x');
    const reader = createPieceReader({ rawBody } as unknown as IncomingMessage);
    const pieces: Buffer[] = [];
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) pieces.push(piece);
    assert.ok(pieces.every(({ length }) => length <= 65_536));
    assert.deepEqual(Buffer.concat(pieces), rawBody);
  }
});
