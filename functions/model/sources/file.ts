import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stampOfFile } from '../../engine/process/file-stamp.ts';
import { type Entry, type Scope, type Source, SourceError } from './source.ts';

/** The depth to which folders are listed, more than enough for `<name>/<version>/` and folders of external data. */
const MAX_DEPTH = 6;
/** A folder with more files is probably not one of models, but a home folder or the entire disk. */
const MAX_FILES = 20_000;
const READ_BYTES = 2 ** 20;
/** The codes of `readdir` for a folder that does not exist. */
const MISSING_CODES: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/**
 * Creates the source of a local folder: in the image, or on a volume that an init container or Cloud Storage FUSE fills. Hidden
 * folders are ignored. Symbolic links are followed, because the volumes of Kubernetes consist of them.
 * @param uri a folder, one `.onnx` file, or the `file://` address of either
 */
export function createFileSource(uri: string): Source {
  const root = resolve(uri.startsWith('file://') ? fileURLToPath(uri) : uri);

  async function isRootFolder(): Promise<boolean> {
    const found = await stat(root).catch((cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'ENOENT' || cause.code === 'ENOTDIR' ? 'no such file or folder' : cause.message;
      throw new SourceError('refused', `MODEL_URI ${root}: ${why}`, { cause });
    });
    return found.isDirectory();
  }

  async function list(signal: AbortSignal, { under, also = [] }: Scope = {}): Promise<readonly Entry[]> {
    signal.throwIfAborted();
    const found = new Map<string, Entry>();
    const isFolder = await isRootFolder();
    const entries: Entry[] = [];
    if (isFolder && under === undefined) await walk('', 0, entries, signal);
    else if (isFolder && under !== undefined && isListed(under)) {
      await walk(under, under.split('/').length, entries, signal);
    }
    for (const entry of entries) found.set(entry.path, entry);
    // The folder of a single file may have thousands of others, of other programs.
    for (const path of isFolder ? also : [basename(root), 'model.json', 'golden.json', ...also]) {
      const entry = found.get(path) ?? (await describe(join(isFolder ? root : dirname(root), path), path));
      if (entry !== undefined) found.set(path, entry);
    }
    return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async function folders(): Promise<readonly string[]> {
    if (!(await isRootFolder())) return [];
    const items = await readdir(root, { withFileTypes: true });
    return items.filter((item) => isListed(item.name) && !item.isFile()).map(({ name }) => name);
  }

  async function walk(below: string, depth: number, into: Entry[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const folder = join(root, below);
    const found = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      if (MISSING_CODES.has(cause.code ?? '')) return [];
      throw new SourceError('refused', `MODEL_URI ${root}: cannot read the folder ${folder}: ${cause.message}`, {
        cause,
      });
    });
    for (const item of found) {
      const path = below === '' ? item.name : `${below}/${item.name}`;
      if (item.isDirectory() || (item.isSymbolicLink() && (await isFolder(join(root, path))))) {
        if (isListed(item.name) && depth < MAX_DEPTH) await walk(path, depth + 1, into, signal);
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
    return join(root.endsWith('.onnx') ? dirname(root) : root, path);
  }

  async function read(
    entry: Entry,
    start: number,
    end: number,
    onChunk: (chunk: Uint8Array) => void,
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
        const bytes = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
        if (stampOfFile(fstatSync(fd, { bigint: true })) !== entry.stamp || bytes === 0) throw changed();
        onChunk(buffer.subarray(0, bytes));
        at += bytes;
        await turn();
      }
      if (stampOfFile(fstatSync(fd, { bigint: true })) !== entry.stamp) throw changed();
    } finally {
      closeSync(fd);
    }
  }

  return { root, shared: false, list, folders, read, close: async () => {} };
}

/** Whether a folder is listed, by its path below the root: no part of it is hidden or leads out of the root. */
function isListed(path: string): boolean {
  const parts = path.split('/');
  return parts.length <= MAX_DEPTH && parts.every((part) => /^[^.\0][^\0]*$/.test(part) && part !== 'node_modules');
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
