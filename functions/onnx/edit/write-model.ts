import { existsSync, realpathSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ServingError } from '../../errors.ts';
import type { TensorProto } from '../proto/onnx_pb.ts';
import { type Encoded, encodeModel, type Placement } from './encode.ts';
import { allTensors } from './graphs.ts';
import type { EditableModel } from './open-model.ts';
import { bytesOfTensor, hasRawElements, isOutside, readChunks } from './tensor-data.ts';
import { removeUnfinished } from './unfinished-files.ts';

export interface WriteOptions {
  /**
   * Whether initializers of 4 kB and more go into a file of their own, beside the model's: its name with `.data` at the end. Default:
   * as the model was opened. A model of 2 GiB and more has them there in any case, because protobuf cannot hold it.
   */
  readonly externalData?: boolean;
  /** Called after each part with the bytes that are written and those of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the write with its reason. */
  readonly signal?: AbortSignal;
  /** From these bytes on the weights go into a file of their own, for tests. */
  readonly limitBytes?: number;
}

/** A model that was written. */
export interface WrittenModel {
  /** Of its files together. */
  readonly bytes: number;
  /** The path of the model, and of its external data if it has some. */
  readonly files: readonly string[];
}

/** What is smaller stays in the model: a page of memory is the least that a mapping can share. */
const LEAST_PLACED_BYTES = 4096;
/** Offsets are multiples of this, so that a system can map the data (onnx.proto, TensorProto.external_data). */
const ALIGNMENT = 4096;
/** From here on protobuf's libraries refuse a message. */
const PROTOBUF_LIMIT_BYTES = 2 ** 31;
const BUFFER_BYTES = 2 ** 20;

/**
 * Writes a model, in memory that does not grow with its weights. Each file is written under another name in the same folder, synced and
 * renamed, so that a file of the given name is always complete; what is unfinished is removed after a failure, an abort, the end of the
 * process and Ctrl-C. A model may be written to its own path: open it again afterwards, because its data have moved.
 *
 * @param path of the new file, whose folder exists. A file there is replaced
 * @throws ServingError `INVALID_INPUT` for a path whose file the model still needs; the reason of the signal; errors of the file system
 */
export async function writeModel(
  model: EditableModel,
  path: string,
  options: WriteOptions = {},
): Promise<WrittenModel> {
  const { signal, onProgress = () => {}, limitBytes = PROTOBUF_LIMIT_BYTES } = options;
  const file = resolve(path);
  const dataFile = `${file}.data`;
  const { encoded, external } = place(model, basename(dataFile), options.externalData, limitBytes);
  const targets = external === undefined ? [file] : [dataFile, file];
  refuseOwnData(model, file, targets);
  const total = encoded.bytes + (external?.bytes ?? 0);
  let done = 0;
  const advance = (bytes: number): void => {
    done += bytes;
    onProgress(done, total);
    signal?.throwIfAborted();
  };
  const unfinished = targets.map((target) => `${target}.${process.pid}.part`);
  const finish = removeUnfinished(unfinished);
  try {
    signal?.throwIfAborted();
    for (const [i, content] of (external === undefined ? [encoded] : [external, encoded]).entries())
      await writeFile(model, unfinished[i]!, content, advance);
    for (const [i, target] of targets.entries()) await rename(unfinished[i]!, target);
    await syncFolder(dirname(file));
  } finally {
    finish();
  }
  return { bytes: total, files: targets.toReversed() };
}

/** The content of the model's file, and of that of its external data. */
function place(model: EditableModel, location: string, wanted: boolean | undefined, limitBytes: number) {
  const sizes = new Map<TensorProto, number>();
  const initializers = new Set<TensorProto>();
  for (const { tensor, isInitializer } of allTensors(model.proto)) {
    if (!hasRawElements(tensor)) continue;
    const bytes = bytesOfTensor(tensor);
    const isLarge = Object.hasOwn(tensor, 'rawData') && bytes >= LEAST_PLACED_BYTES;
    if (!isLarge && !isOutside(tensor)) continue;
    sizes.set(tensor, bytes);
    if (isInitializer && bytes >= LEAST_PLACED_BYTES) initializers.add(tensor);
  }
  const inside = new Map([...sizes].map(([tensor, bytes]): [TensorProto, Placement] => [tensor, { bytes }]));
  const encoded = encodeModel(model.proto, inside);
  const isExternal = (wanted ?? model.external.length > 0) || encoded.bytes >= limitBytes;
  if (!isExternal || initializers.size === 0) return { encoded, external: undefined };
  const pieces: (Uint8Array | TensorProto)[] = [];
  let at = 0;
  for (const tensor of initializers) {
    const offset = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
    if (offset > at) pieces.push(new Uint8Array(offset - at));
    pieces.push(tensor);
    inside.set(tensor, { bytes: sizes.get(tensor)!, external: { location, offset } });
    at = offset + sizes.get(tensor)!;
  }
  return { encoded: encodeModel(model.proto, inside), external: { pieces, bytes: at } };
}

/** Refuses to replace a file that another model, the one that was opened, needs afterwards. */
function refuseOwnData({ path, external }: EditableModel, file: string, targets: readonly string[]): void {
  if (realOf(file) === realOf(path)) return;
  const needed = new Set(external.map((location) => realOf(join(dirname(path), location))));
  for (const target of targets) {
    if (!needed.has(realOf(target))) continue;
    throw new ServingError('INVALID_INPUT', `${target}: ${path} has its external data there: write to another file`);
  }
}

const realOf = (path: string): string => (existsSync(path) ? realpathSync(path) : path);

async function writeFile(
  model: EditableModel,
  path: string,
  { pieces }: Encoded,
  advance: (bytes: number) => void,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    const sink = createSink(file, advance);
    for (const piece of pieces) {
      if (piece instanceof Uint8Array) await sink.write(piece);
      else for await (const chunk of readChunks(model, piece)) await sink.write(chunk);
    }
    await sink.flush();
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes through a buffer, because the pieces of a graph are small. */
function createSink(file: FileHandle, advance: (bytes: number) => void) {
  const buffer = new Uint8Array(BUFFER_BYTES);
  let filled = 0;

  async function flush(): Promise<void> {
    for (let from = 0; from < filled; ) from += (await file.write(buffer, from, filled - from)).bytesWritten;
    const bytes = filled;
    filled = 0;
    advance(bytes);
  }

  return {
    async write(bytes: Uint8Array): Promise<void> {
      for (let from = 0; from < bytes.length; ) {
        const part = bytes.subarray(from, from + buffer.length - filled);
        buffer.set(part, filled);
        filled += part.length;
        from += part.length;
        if (filled === buffer.length) await flush();
      }
    },
    flush,
  };
}

/** The renames are on the disk after this. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
