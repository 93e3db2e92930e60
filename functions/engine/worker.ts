/**
 * The engine process: reads a frame, runs it, writes the answer, one at a time. It has no event loop to speak of: reads
 * and writes of the socket block, which saves two wake-ups a run, and an end of file means that the parent is gone.
 */
import { readSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Failure, Loaded } from './engine.ts';
import { checkStamp, StampError } from './file-stamp.ts';
import {
  decodeJson,
  decodeTensors,
  encodeJson,
  encodeTensors,
  type Frame,
  HEADER_BYTES,
  KIND,
  type SlottedTensor,
} from './frame.ts';
import { type LoadOrder, loadRuntime, openSession, type Session } from './session.ts';

const SOCKET = 3;
/** Asked before anything else: once the parent is gone, the answer is another. */
const parent = process.ppid;

/** A native run cannot see that the parent died, so a second thread looks. Checked twice a second: see the 2 s bound of issue 2. */
const WATCH_PARENT = `
const { workerData: parent } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

let memory = Buffer.allocUnsafeSlow(65_536);

function readFully(from: number, atLeast: number, atMost: number): number {
  let end = from;
  while (end < atLeast) {
    const got = orEnd(() => readSync(SOCKET, memory, end, atMost - end, null));
    if (got === 0) process.exit(0);
    end += got;
  }
  return end;
}

/** The socket fails only when the parent's end is closed, and then there is nobody to work for. */
function orEnd(transfer: () => number): number {
  try {
    return transfer();
  } catch {
    process.exit(0);
  }
}

/** The parent never sends a frame before the last one is answered, so a read never reaches into the next. */
function readFrame(): Frame {
  const end = readFully(0, HEADER_BYTES, memory.length);
  const bytes = memory.readUInt32LE(0);
  if (bytes > memory.length) {
    const larger = Buffer.allocUnsafeSlow(bytes);
    memory.copy(larger, 0, 0, end);
    memory = larger;
  }
  readFully(end, bytes, bytes);
  return {
    kind: memory.readUInt32LE(4),
    id: memory.readUInt32LE(8),
    count: memory.readUInt32LE(12),
    body: memory.subarray(HEADER_BYTES, bytes),
  };
}

function writeChunks(chunks: readonly Uint8Array[]): void {
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.byteLength) at += orEnd(() => writeSync(SOCKET, chunk, at, chunk.byteLength - at));
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function answer(frame: Frame, session: Session): Promise<Uint8Array[]> {
  const outputs: SlottedTensor[] = await session.run(decodeTensors(frame));
  return encodeTensors(
    KIND.result,
    frame.id,
    outputs.map(({ slot, dtype, dims, data }) => ({ slot, dtype, dims, parts: [data] })),
  );
}

async function serve(): Promise<never> {
  let session: Session | undefined;
  for (;;) {
    const frame = readFrame();
    try {
      if (frame.kind === KIND.load) {
        const order = decodeJson(frame) as LoadOrder;
        const checkAll = (): void => {
          for (const [path, stamp] of order.stamps ?? []) checkStamp(path, stamp);
        };
        checkAll();
        session = await openSession(order.path, order);
        checkAll();
        const { signature, patched, external } = session;
        writeChunks([encodeJson(KIND.loaded, frame.id, { signature, patched, external } satisfies Loaded)]);
      } else {
        writeChunks(await answer(frame, session!));
      }
    } catch (error) {
      const code = error instanceof StampError ? error.code : undefined;
      writeChunks([encodeJson(KIND.failure, frame.id, { message: messageOf(error), code } satisfies Failure)]);
    }
  }
}

// The parent drains and then closes the socket; a signal sent to the whole process group must not end a run before that.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// The kernel ends a container with its first process; elsewhere the watch is worth its 10 MB.
if (parent !== 1) new Worker(WATCH_PARENT, { eval: true, workerData: parent });
// On by default since onnxruntime 1.29, and read when the library loads.
process.env.ORT_DISABLE_TELEMETRY = '1';
// Loaded before the order comes: the library takes longer to load than the parent takes to read its settings.
await loadRuntime();
await serve();
