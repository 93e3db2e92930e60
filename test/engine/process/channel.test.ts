import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openChannel } from '../../../functions/engine/process/channel.ts';
import {
  decodeJson,
  decodeTensors,
  encodeJson,
  encodeTensors,
  type Frame,
  KIND,
} from '../../../functions/engine/process/frame.ts';

const STREAM = Buffer.concat([
  ...encodeTensors(KIND.result, 1, [
    { slot: 0, dtype: 'float64', dims: [3], parts: [Float64Array.of(1.5, -2.5, 3.5)] },
    { slot: 1, dtype: 'string', dims: [2], parts: [['Ås', '']] },
  ]),
  encodeJson(KIND.failure, 2, { message: 'no' }),
  ...encodeTensors(KIND.result, 3, []),
  ...encodeTensors(KIND.result, 4, [{ slot: 0, dtype: 'int64', dims: [2], parts: [BigInt64Array.of(7n, -8n)] }]),
]);

function check(frames: readonly Frame[]): void {
  assert.deepEqual(
    frames.map(({ kind, id, count }) => [kind, id, count]),
    [
      [KIND.result, 1, 2],
      [KIND.failure, 2, 16],
      [KIND.result, 3, 0],
      [KIND.result, 4, 1],
    ],
  );
  assert.deepEqual(
    decodeTensors(frames[0]!).map(({ data }) => data),
    [Float64Array.of(1.5, -2.5, 3.5), ['Ås', '']],
  );
  assert.deepEqual(decodeJson(frames[1]!), { message: 'no' });
  assert.deepEqual(decodeTensors(frames[3]!)[0]!.data, BigInt64Array.of(7n, -8n));
}

/** The frames a channel cuts out of the pieces, looked at when all have come: each must own its memory. */
async function receive(pieces: readonly Buffer[]): Promise<Frame[]> {
  const socket = new PassThrough();
  const frames: Frame[] = [];
  openChannel(socket, (frame) => frames.push(frame));
  for (const piece of pieces) socket.write(piece);
  socket.end();
  await once(socket, 'end');
  return frames;
}

/** As a socket hands it over: memory of its own, from offset 0. */
const piece = (from: number, to: number): Buffer => Buffer.from(Uint8Array.from(STREAM.subarray(from, to)).buffer);

test('several frames in one chunk arrive complete and in order', async () => {
  check(await receive([piece(0, STREAM.length)]));
});

test('frames divided at any byte arrive complete', async () => {
  for (let cut = 1; cut < STREAM.length; cut++) check(await receive([piece(0, cut), piece(cut, STREAM.length)]));
});

test('frames that arrive byte by byte are complete', async () => {
  check(await receive(Array.from(STREAM, (_, at) => piece(at, at + 1))));
});

test('data is aligned at any position of the frame in its chunk', async () => {
  const shifted = Buffer.alloc(STREAM.length + 3).fill(STREAM, 3);
  check(await receive([shifted.subarray(3)]));
});

test('a frame larger than one read of a socket passes a real socket', async (t) => {
  const [near, far] = await socketPair(t);
  const sent = Float32Array.from({ length: 1_000_000 }, (_, i) => i);
  const got = new Promise<Frame>((resolve) => openChannel(far, resolve));
  openChannel(near, () => {}).send(
    encodeTensors(KIND.run, 9, [{ slot: 0, dtype: 'float32', dims: [1_000_000], parts: [sent] }]),
  );
  assert.deepEqual(decodeTensors(await got)[0]!.data, sent);
});

test('the chunks of a frame are written together', () => {
  const writes: number[] = [];
  const socket = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      writes.push(1);
      done();
    },
    writev(chunks, done) {
      writes.push(chunks.length);
      done();
    },
  });
  const channel = openChannel(socket, () => {});
  channel.send([Buffer.of(1), Buffer.of(2), Buffer.of(3)]);
  channel.send([Buffer.of(4)]);
  assert.deepEqual(writes, [3, 1]);
});

test('closing the channel ends the socket for the other end', async (t) => {
  const [near, far] = await socketPair(t);
  far.resume();
  openChannel(near, () => {}).close();
  await once(far, 'end');
});

async function socketPair(t: TestContext): Promise<[Socket, Socket]> {
  const folder = mkdtempSync(join(tmpdir(), 'channel-'));
  const server = createServer();
  await once(server.listen(join(folder, 'socket')), 'listening');
  const near = connect(join(folder, 'socket'));
  const [far] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return [near, far];
}
