import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { openChannel } from '../../../functions/engine/process/channel.ts';
import { attachEngine, type Engine, RunError } from '../../../functions/engine/process/engine-process.ts';
import {
  decodeTensors,
  encodeJson,
  encodeTensors,
  frameLimit,
  KIND,
  MAX_FRAME_BYTES,
} from '../../../functions/engine/process/frame.ts';
import { column, joined } from '../../helpers/tensors.ts';

const LONG_MS = 60_000;
const RESULT = Buffer.concat(
  encodeTensors(KIND.result, 1, [
    { slot: 0, dtype: 'float32', dims: [2, 1], parts: [Float32Array.of(1.5, -2.5)] },
    { slot: 1, dtype: 'string', dims: [2], parts: [['a', 'bcd']] },
  ]),
);

/** A process that answers the first frame that it reads with these bytes, and then waits for more. */
function engineThatWrites(t: TestContext, bytes: Uint8Array): Engine {
  const script = `const fs = require('node:fs'); const got = Buffer.alloc(4096); fs.readSync(3, got);
    fs.writeSync(3, Buffer.from('${Buffer.from(bytes).toString('hex')}', 'hex')); while (fs.readSync(3, got));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  return attachEngine(child);
}

/** `RESULT` with other u32 values at these offsets. */
function altered(...values: readonly (readonly [offset: number, value: number])[]): Buffer {
  const bytes = Buffer.from(RESULT);
  for (const [offset, value] of values) bytes.writeUInt32LE(value, offset);
  return bytes;
}

const BROKEN: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ['a length of 0', altered([0, 0])],
  ['a length below that of a header', altered([0, 8])],
  ['a length that is no multiple of 8', altered([0, 20])],
  ['a length beyond the largest frame', altered([0, MAX_FRAME_BYTES + 8])],
  ['a kind that does not exist', altered([4, 77])],
  ['a run as a result', altered([4, KIND.run])],
  ['more tensors than the frame has', altered([12, 3])],
  ['fewer tensors than the frame has', altered([12, 1])],
  ['a dtype that does not exist', altered([20, 99])],
  ['a rank beyond the frame', altered([24, 0xff_ff_ff])],
  ['data beyond the frame', altered([28, 4096])],
  ['fewer elements than the dims say', altered([32, 3])],
  ['a text beyond its tensor', altered([80, 1000])],
  ['a failure that is not JSON', altered([4, KIND.failure])],
  ['random bytes', Buffer.from('no frame at all, but a line of text that a library printed\n')],
];

for (const [what, bytes] of BROKEN) {
  test(`an engine that sends ${what} is killed, and its run fails as crashed`, { timeout: LONG_MS }, async (t) => {
    const engine = engineThatWrites(t, bytes);
    await assert.rejects(engine.run(joined(column(1)), LONG_MS), (error: unknown) => {
      assert.ok(error instanceof RunError, String(error));
      assert.deepEqual([error.fault, error.ofItself], ['crashed', false]);
      assert.match(error.message, /sent an invalid frame/);
      return true;
    });
    assert.match(await engine.exited, /sent an invalid frame/);
  });
}

test('an engine that answers before it has read its inputs is killed: their memory may be freed', {
  timeout: LONG_MS,
}, async (t) => {
  const engine = engineThatWrites(t, RESULT);
  const inputs = joined({ dtype: 'float32', dims: [2 ** 22, 1], data: new Float32Array(2 ** 22) });
  await assert.rejects(engine.run(inputs, LONG_MS), /sent an invalid frame: it arrived before its order was written/);
});

test('a frame has at most half of the memory, between 64 MiB and 2 GiB', () => {
  const limits = [0, 2 ** 24, 2 ** 30 + 9, 2 ** 40, 2 ** 63].map(frameLimit);
  assert.deepEqual(limits, [2 ** 31, 2 ** 26, 2 ** 29, 2 ** 31, 2 ** 31]);
  assert.ok(limits.every((limit) => limit % 8 === 0));
});

test('an engine that ends in the middle of a frame is a crash', { timeout: LONG_MS }, async (t) => {
  const engine = engineThatWrites(t, RESULT.subarray(0, 40));
  const run = engine.run(joined(column(1)), LONG_MS);
  engine.kill();
  await assert.rejects(run, { name: 'RunError', fault: 'crashed' });
});

/** The tensors of the frames that a channel delivers for these bytes; `broken` if it refuses them. */
function read(bytes: Buffer): unknown[] {
  const socket = new PassThrough();
  const read: unknown[] = [];
  openChannel(
    socket,
    (frame) => read.push(decodeTensors(frame).map(({ dims, data }) => [dims, data.length])),
    () => read.push('broken'),
  );
  socket.emit('data', Buffer.from(Uint8Array.from(bytes).buffer));
  return read;
}

test('bytes that are altered anywhere give tensors of the size that their dims say, or are refused', () => {
  const bytes = fc.record({ at: fc.nat(RESULT.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(bytes, { minLength: 1, maxLength: 4 }), fc.nat(RESULT.length), (changes, end) => {
      const altered = Buffer.from(RESULT);
      for (const { at, value } of changes) altered[at] = value;
      for (const one of [altered, altered.subarray(0, end)]) {
        for (const frame of read(one)) {
          if (frame === 'broken') continue;
          for (const [dims, length] of frame as [number[], number][]) {
            assert.equal(
              length,
              dims.reduce((product, dim) => product * dim, 1),
            );
          }
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('a frame of JSON passes', () => {
  const socket = new PassThrough();
  const kinds: number[] = [];
  openChannel(socket, ({ kind }) => kinds.push(kind), assert.fail);
  socket.emit('data', encodeJson(KIND.failure, 1, { message: 'no' }));
  assert.deepEqual(kinds, [KIND.failure]);
});
