import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stampOfFile } from '../../engine/file-stamp.ts';
import { type Entry, type Source, SourceError } from '../source.ts';

/** Folders below the root that are looked into: `<name>/<version>/` and what external data may lie in, with some to spare. */
const MAX_DEPTH = 6;
/** A folder with more is no folder of models: somebody's home, or the whole disk. */
const MAX_FILES = 20_000;
const READ_BYTES = 2 ** 20;

/**
 * Files on a local disk: in the image, or on a volume that an init container or Cloud Storage FUSE fills. Hidden
 * folders are passed over. Symbolic links are followed: a Kubernetes volume is full of them.
 * @param uri a folder, one `.onnx` file, or the `file://` address of either.
 */
export function createFileSource(uri: string): Source {
  const root = resolve(uri.startsWith('file://') ? fileURLToPath(uri) : uri);

  async function list(signal: AbortSignal): Promise<readonly Entry[]> {
    const found = await stat(root).catch((cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'ENOENT' || cause.code === 'ENOTDIR' ? 'no such file or folder' : cause.message;
      throw new SourceError('refused', `MODEL_URI ${root}: ${why}`, { cause });
    });
    if (!found.isDirectory()) return listBeside();
    const entries: Entry[] = [];
    await walk('', 0, entries, signal);
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** One file's neighbours may be thousands and none of ours: those are looked at that may be. */
  async function listBeside(): Promise<Entry[]> {
    const folder = dirname(root);
    const names = (await readdir(folder)).filter(
      (name) => name === basename(root) || /^(model|golden)\.json$|[._]data$|\.bin$|\.weights?$/.test(name),
    );
    const entries = await Promise.all(names.sort().map((name) => describe(join(folder, name), name)));
    return entries.filter((entry) => entry !== undefined);
  }

  async function walk(below: string, depth: number, into: Entry[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const folder = join(root, below);
    const found = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw new SourceError('refused', `MODEL_URI ${root}: cannot read the folder ${folder}: ${cause.message}`, {
        cause,
      });
    });
    for (const item of found) {
      const path = below === '' ? item.name : `${below}/${item.name}`;
      if (item.isDirectory() || (item.isSymbolicLink() && (await isFolder(join(root, path))))) {
        const passed = item.name.startsWith('.') || item.name === 'node_modules';
        if (!passed && depth < MAX_DEPTH) await walk(path, depth + 1, into, signal);
        continue;
      }
      const entry = await describe(join(root, path), path);
      if (entry !== undefined) into.push(entry);
      if (into.length > MAX_FILES) {
        const message = `MODEL_URI ${root} has more than ${MAX_FILES} files below it: point it at a folder of models alone`;
        throw new SourceError('refused', message);
      }
    }
  }

  function fileOf({ path }: Entry): string {
    return join(root.endsWith('.onnx') && !path.includes(sep) ? dirname(root) : root, path);
  }

  async function read(
    entry: Entry,
    start: number,
    end: number,
    take: (chunk: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const changed = (): SourceError => new SourceError('changed', `${fileOf(entry)} changed while it was read`);
    let fd: number;
    try {
      fd = openSync(fileOf(entry), 'r');
    } catch (cause) {
      throw (cause as NodeJS.ErrnoException).code === 'ENOENT'
        ? changed()
        : new SourceError('refused', `cannot read ${fileOf(entry)}: ${(cause as Error).message}`, { cause });
    }
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, end - start)));
    try {
      for (let at = start; at < end; ) {
        signal.throwIfAborted();
        const got = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
        if (stampOfFile(fstatSync(fd, { bigint: true })) !== entry.stamp || got === 0) throw changed();
        take(buffer.subarray(0, got));
        at += got;
        await turn();
      }
      if (stampOfFile(fstatSync(fd, { bigint: true })) !== entry.stamp) throw changed();
    } finally {
      closeSync(fd);
    }
  }

  return { root, shared: false, list, read, close: async () => {} };
}

async function describe(file: string, path: string): Promise<Entry | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  if (found === undefined || !found.isFile()) return undefined;
  return {
    path,
    bytes: Number(found.size),
    stamp: stampOfFile(found),
    crc32c: undefined,
    md5: undefined,
    gzip: false,
    modifiedAt: Number(found.mtimeMs),
  };
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
