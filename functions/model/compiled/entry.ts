/**
 * A compiled model on a disk: a folder with the graph, the weights, and a header that says what they were made from. It is used only if
 * the header is that of the model, of this onnxruntime and of this CPU, and both files are as they were written.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { stampOfFile } from '../../engine/process/file-stamp.ts';
import type { CompiledFiles } from '../../engine/process/model-source.ts';
import type { Machine } from './machine.ts';

/** From what a compiled model is made. */
export interface CompiledKey extends Machine {
  /** Raised when the same model, runtime and CPU give another compiled model: with options, or with how outputs are patched. */
  readonly format: typeof FORMAT;
  /** Identifies the content of the model's files. */
  readonly model: string;
}

interface Header {
  readonly key: CompiledKey;
  readonly graph: { readonly bytes: number; readonly crc32: number };
  readonly data: { readonly stamp: string; readonly sample: number };
}

const FORMAT = 1;
const GRAPH = 'graph.onnx';
const DATA = 'weights.data';
/** Written last. */
const HEADER = 'compiled.json';
/** The weights are checked by so many blocks: to read all of them takes as long as the load. */
const SAMPLES = 64;
const SAMPLE_BYTES = 4096;
const BLOCK_BYTES = 2 ** 20;

/** The key of a model on a machine. */
export function keyOf({ runtime, cpu }: Machine, model: string): CompiledKey {
  return { format: FORMAT, runtime, cpu, model };
}

/** A short name for a key. */
export function nameOfKey(key: CompiledKey): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32);
}

/** The paths that onnxruntime writes. */
export function targetIn(folder: string): { readonly graph: string; readonly data: string } {
  return { graph: join(folder, GRAPH), data: join(folder, DATA) };
}

/**
 * Completes a folder in which onnxruntime has written a compiled model: all of it is on the disk when this settles.
 * @param modifiedAt seconds since 1970 that the weights get as their time, for a folder that is copied by programs without fractions
 */
export async function sealEntry(folder: string, key: CompiledKey, modifiedAt?: number): Promise<CompiledFiles> {
  const { graph, data } = targetIn(folder);
  await Promise.all([graph, data].map(flush));
  if (modifiedAt !== undefined) await utimes(data, modifiedAt, modifiedAt);
  const content = await readFile(graph);
  const header: Header = {
    key,
    graph: { bytes: content.length, crc32: crc32(content) },
    data: { stamp: await stampAt(data), sample: await sampleOf(data) },
  };
  await writeFile(join(folder, HEADER), JSON.stringify(header));
  await flush(join(folder, HEADER));
  await flush(folder);
  return { graph, stamps: [[graph, await stampAt(graph)] as const, [data, header.data.stamp] as const] };
}

/**
 * Opens a compiled model.
 * @param check throws an Error for a key with which it must not be used; not every field may be there
 * @returns its files; undefined if there is none
 * @throws Error that says why it must not be used
 */
export async function readEntry(
  folder: string,
  check: (key: Partial<CompiledKey>) => void,
): Promise<CompiledFiles | undefined> {
  const { graph, data } = targetIn(folder);
  let header: Header;
  try {
    header = JSON.parse(await readFile(join(folder, HEADER), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`its ${HEADER} cannot be read: ${(error as Error).message}`);
  }
  if (header?.key?.format !== FORMAT) throw new Error('another version of this server made it');
  check(header.key);
  // The stamp first: what is written after the content was read changes it.
  const stamp = await stampAt(graph);
  const content = await readFile(graph);
  if (content.length !== header.graph.bytes || crc32(content) !== header.graph.crc32) {
    throw new Error(`its ${GRAPH} is not as it was written`);
  }
  if ((await stampAt(data)) !== header.data.stamp || (await sampleOf(data)) !== header.data.sample) {
    throw new Error(`its ${DATA} is not as it was written`);
  }
  return { graph, stamps: [[graph, stamp] as const, [data, header.data.stamp] as const] };
}

/** @throws Error if the entry was made for other software or another CPU */
export function checkMachine({ runtime, cpu }: Partial<CompiledKey>, machine: Machine): void {
  if (runtime !== machine.runtime) throw new Error(`it was made by ${runtime}, and this is ${machine.runtime}`);
  if (cpu !== machine.cpu) throw new Error(`it was made for the CPU ${cpu}, and this is ${machine.cpu}`);
}

/** Records the use of an entry, for {@link lastUseOf}. */
export async function markUse(folder: string): Promise<void> {
  const now = new Date();
  // A read-only folder has no record of uses.
  await utimes(join(folder, HEADER), now, now).catch(() => {});
}

/** Milliseconds since 1970 of the last use of an entry, and its bytes; undefined if the folder has none. */
export async function describeEntry(folder: string): Promise<{ usedAt: number; bytes: number } | undefined> {
  try {
    const { graph, data } = targetIn(folder);
    const [header, ...files] = await Promise.all([join(folder, HEADER), graph, data].map((path) => stat(path)));
    return { usedAt: header!.mtimeMs, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  } catch {
    return undefined;
  }
}

/**
 * Identifies the content of files by all of their bytes, with little work: SHA-256 over the CRC-32 of each MiB. It tells versions of a
 * model apart; it is no protection against somebody who can write to the files.
 */
export async function digestOf(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (const path of paths) {
    await withFile(path, async (file) => {
      let bytes = 0;
      for (;;) {
        const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, bytes);
        if (bytesRead === 0) break;
        bytes += bytesRead;
        hash.update(String(crc32(block.subarray(0, bytesRead))));
        hash.update(' ');
      }
      hash.update(`${bytes}\n`);
    });
  }
  return hash.digest('hex');
}

/** The checksum of blocks that are spread over a file. */
async function sampleOf(path: string): Promise<number> {
  return withFile(path, async (file) => {
    const { size } = await file.stat();
    const block = Buffer.allocUnsafe(SAMPLE_BYTES);
    let sum = 0;
    for (let i = 0; i < SAMPLES; i++) {
      const at = Math.floor((Math.max(0, size - SAMPLE_BYTES) * i) / (SAMPLES - 1));
      const { bytesRead } = await file.read(block, 0, SAMPLE_BYTES, at);
      sum = crc32(block.subarray(0, bytesRead), sum);
    }
    return sum;
  });
}

async function stampAt(path: string): Promise<string> {
  return stampOfFile(await stat(path, { bigint: true }));
}

/** Has the disk write a file, or the names in a folder. */
export async function flush(path: string): Promise<void> {
  await withFile(path, (file) => file.sync());
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, 'r');
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
