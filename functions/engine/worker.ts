/**
 * The engine process: reads a frame, runs it, writes the answer, one at a time. It has no event loop to speak of: reads
 * and writes of the socket block, which saves two wake-ups a run, and an end of file means that the parent is gone.
 */
import { readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { RowIndependence } from '../batching/row-independence.ts';
import type { Failure, Loaded } from './engine-process.ts';
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
const OOM_SCORE = '/proc/self/oom_score_adj';
/** As if it had 30 % more of the memory. */
const OOM_SCORE_STEP = 300;
/** Asked before anything else: once the parent is gone, the answer is another. */
const parent = process.ppid;

/** A native run cannot see that the parent died, so a second thread looks: an engine must not outlive it by more than 2 s. */
const WATCH_PARENT = `
const { workerData: parent } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

/** What frames are read into. One that had to grow beyond the second is given back: an engine may not see its like again. */
const READ_BYTES = 65_536;
const KEPT_BYTES = 2 ** 20;
let memory = Buffer.allocUnsafeSlow(READ_BYTES);

function readFully(from: number, atLeast: number, atMost: number): number {
  let end = from;
  while (end < atLeast) {
    const got = orEnd(() => readSync(SOCKET, memory, end, atMost - end, null));
    if (got === 0) process.exit(0);
    end += got;
  }
  return end;
}

/** The socket fails only when the parent has closed its end: the process exits then. */
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

/** To the system, and at once: an engine makes so little garbage that a collection may never come. */
function giveBack({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > KEPT_BYTES) buffer.transfer(0);
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

async function rowIndependenceOf(path: string): Promise<RowIndependence> {
  const { readRowIndependence } = await import('../batching/read-row-independence.ts');
  return readRowIndependence(path);
}

async function serve(): Promise<never> {
  let session: Session | undefined;
  for (;;) {
    const frame = readFrame();
    let outputs: Uint8Array[] = [];
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
        const rows = order.findsRowIndependence === true ? await rowIndependenceOf(order.path) : undefined;
        writeChunks([encodeJson(KIND.loaded, frame.id, { signature, patched, external, rows } satisfies Loaded)]);
      } else {
        outputs = await answer(frame, session!);
        writeChunks(outputs);
      }
    } catch (error) {
      const code = error instanceof StampError ? error.code : undefined;
      writeChunks([encodeJson(KIND.failure, frame.id, { message: messageOf(error), code } satisfies Failure)]);
    }
    for (const output of outputs) giveBack(output);
    if (memory.length > KEPT_BYTES) {
      giveBack(memory);
      memory = Buffer.allocUnsafeSlow(READ_BYTES);
    }
  }
}

/** Where memory runs out, an engine goes before the server, which can replace it. Up is always allowed. */
function offerToEnd(): void {
  try {
    const score = Number(readFileSync(OOM_SCORE, 'utf8'));
    writeFileSync(OOM_SCORE, String(Math.min(1000, score + OOM_SCORE_STEP)));
  } catch {
    // No Linux, or a sandbox without it.
  }
}

offerToEnd();
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
