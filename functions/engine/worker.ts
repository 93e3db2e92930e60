/**
 * The engine process: reads a frame, runs it and writes the answer, one at a time. Reads and writes of the socket block, which
 * saves two wake-ups a run; its event loop serves only the run itself. An end of file means that the parent has ended.
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
/** Out of 1000: the kernel counts the process as if it took 30 % more of the memory. */
const OOM_SCORE_STEP = 300;
/** Read first: once the parent has ended, it is another process. */
const parent = process.ppid;

/** During a native run the main thread does not notice that the parent has ended, so a second thread checks every 500 ms. */
const WATCH_PARENT = `
const { workerData: parent } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

/** Bytes of the buffer that frames are read into, and up to which one that has grown is kept: larger frames may be rare. */
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

/** Frees large memory at once: an engine allocates so little that the garbage collector may never run. */
function free({ buffer }: Uint8Array): void {
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
    for (const output of outputs) free(output);
    if (memory.length > KEPT_BYTES) {
      free(memory);
      memory = Buffer.allocUnsafeSlow(READ_BYTES);
    }
  }
}

/** Makes the kernel kill an engine before the server when memory runs out: the server replaces it. Raising the score is always allowed. */
function raiseOomScore(): void {
  try {
    const score = Number(readFileSync(OOM_SCORE, 'utf8'));
    writeFileSync(OOM_SCORE, String(Math.min(1000, score + OOM_SCORE_STEP)));
  } catch {
    // No Linux, or a sandbox without it.
  }
}

raiseOomScore();
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
