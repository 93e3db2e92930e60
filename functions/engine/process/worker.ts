/**
 * The engine process: reads a frame, runs it and writes the result, one at a time. Reads and writes of the socket block, which
 * saves two wake-ups a run; the event loop turns once after each. An end of file means that the parent has ended.
 */
import { readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import type { RowIndependence } from '../../batching/row-independence.ts';
import type { Failure, Loaded } from './engine-process.ts';
import { checkStamps, type OpenFiles, openFiles, StampError } from './file-stamp.ts';
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
import { loadRuntime } from './runtime.ts';
import { type LoadOrder, openSession, type Session } from './session.ts';

const SOCKET = 3;
const OOM_SCORE = '/proc/self/oom_score_adj';
/** Of 1000: the kernel rates the process as if it took 30 % more of the memory. */
const OOM_SCORE_STEP = 300;
/** Bytes of the buffer that frames are read into. */
const READ_BYTES = 65_536;
/** A larger buffer is freed after its frame, because large frames may be rare. */
const MAX_IDLE_BYTES = 2 ** 20;
let memory = Buffer.allocUnsafeSlow(READ_BYTES);

function readFully(from: number, atLeast: number, atMost: number): number {
  let end = from;
  while (end < atLeast) {
    const bytes = orExit(() => readSync(SOCKET, memory, end, atMost - end, null));
    if (bytes === 0) process.exit(0);
    end += bytes;
  }
  return end;
}

/** Reads or writes, and exits if that fails: the socket fails only when the parent has closed its end. */
function orExit(transfer: () => number): number {
  try {
    return transfer();
  } catch {
    process.exit(0);
  }
}

/** The parent sends no frame before it has the result of the last one, so that a read never reaches into the next frame. */
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
  if (buffer instanceof ArrayBuffer && buffer.byteLength > MAX_IDLE_BYTES) buffer.transfer(0);
}

function writeChunks(chunks: readonly Uint8Array[]): void {
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.byteLength) at += orExit(() => writeSync(SOCKET, chunk, at, chunk.byteLength - at));
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function runFrame(frame: Frame, session: Session): Promise<Uint8Array[]> {
  const outputs: SlottedTensor[] = await session.run(decodeTensors(frame));
  return encodeTensors(
    KIND.result,
    frame.id,
    outputs.map(({ slot, dtype, dims, data }) => ({ slot, dtype, dims, parts: [data] })),
  );
}

async function rowIndependenceOf(path: string): Promise<RowIndependence> {
  const { readRowIndependence } = await import('../../batching/read-row-independence.ts');
  return readRowIndependence(path);
}

/** Ends a process whose results may be wrong. By a signal, as if from outside: the rows of the run are not the cause. */
function endItself(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal may arrive a moment later.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

async function serve(): Promise<never> {
  let session: Session | undefined;
  /** The files that the session maps, if something else can write to them. */
  let mapped: OpenFiles | undefined;
  for (;;) {
    const frame = readFrame();
    let outputs: Uint8Array[] = [];
    try {
      if (frame.kind === KIND.load) {
        const order = decodeJson(frame) as LoadOrder;
        const stamps = order.stamps ?? [];
        checkStamps(stamps);
        const files = openFiles(stamps);
        session = await openSession(order.path, order);
        checkStamps(stamps);
        const { signature, patched, external, weights } = session;
        mapped = weights.mappedBytes > 0 ? files : undefined;
        // What is written to the model's own file does not reach such a session.
        if (weights.use === 'compiled') mapped = openFiles(order.compiled!.stamps);
        const rows = order.findsRowIndependence === true ? await rowIndependenceOf(order.path) : undefined;
        writeChunks([
          encodeJson(KIND.loaded, frame.id, { signature, patched, external, weights, rows } satisfies Loaded),
        ]);
      } else {
        outputs = await runFrame(frame, session!);
        if (mapped?.areChanged()) endItself();
        writeChunks(outputs);
      }
    } catch (error) {
      const code = error instanceof StampError ? error.code : undefined;
      writeChunks([encodeJson(KIND.failure, frame.id, { message: messageOf(error), code } satisfies Failure)]);
    }
    for (const output of outputs) free(output);
    if (memory.length > MAX_IDLE_BYTES) {
      free(memory);
      memory = Buffer.allocUnsafeSlow(READ_BYTES);
    }
    // Node runs the finalizers of native memory in a turn of the event loop: here, where no request waits for it.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Makes the kernel kill an engine before the server if memory runs out: the server replaces it. Raising the score is always allowed. */
function raiseOomScore(): void {
  try {
    const score = Number(readFileSync(OOM_SCORE, 'utf8'));
    writeFileSync(OOM_SCORE, String(Math.min(1000, score + OOM_SCORE_STEP)));
  } catch {
    // Not Linux, or a sandbox without the file.
  }
}

raiseOomScore();
// The parent drains and then closes the socket; a signal sent to the process group must not end a run before that.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// onnxruntime's telemetry is on by default since 1.29. The library reads this when it loads.
process.env.ORT_DISABLE_TELEMETRY = '1';
// Loaded before the order arrives: loading the library takes longer than reading the settings takes the parent.
loadRuntime();
await serve();
