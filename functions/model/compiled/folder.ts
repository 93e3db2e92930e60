import { lstat, mkdir, readdir, rename, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isInMemory } from '../fetch/disk.ts';
import { makeWorkFolder, type WorkFolder } from '../fetch/work-folder.ts';
import { describeEntry, flush } from './entry.ts';

/** The folder of the compiled models, which several processes may share. Each is a folder in it, by the name of its key. */
export interface CompiledFolder {
  /** The path of an entry, which may not exist. @throws Error if there is no folder, or others can write to one that was not set */
  pathOf(name: string): Promise<string>;
  /**
   * Makes an entry: the folder is complete before it has its name. If another process has made the same meanwhile, that stays.
   * @param bytes the most that it may take
   * @param isInUse whether an entry must stay; others are removed if room is short
   * @param fill writes the files of the entry into a folder
   * @returns the path of the entry
   * @throws NoFolderError; Error if there is no room, or `fill` fails: nothing of the entry is left then
   */
  make(name: string, bytes: number, isInUse: (name: string) => boolean, fill: Fill): Promise<string>;
  /** Never rejects: what cannot be removed is checked when it is read. */
  remove(name: string): Promise<void>;
  close(): void;
}

/** There is no folder for compiled models, and none was set. */
export class NoFolderError extends Error {
  override readonly name = 'NoFolderError';
}

type Fill = (folder: string) => Promise<void>;

const ENTRY = /^[0-9a-f]{32}$/;
const MOST_ENTRIES = 16;
/** The part of the disk that compiled models may take together, and the part that stays free. */
const DISK_SHARE = 0.5;
const FREE_SHARE = 0.1;
/** An entry that no process has opened for so long is removed when another one is made. */
const UNUSED_MS = 30 * 24 * 3_600_000;

/**
 * Opens the folder; nothing is made before it is needed.
 * @param path `COMPILED_FOLDER`; undefined: a folder in the one for temporary files, which belongs to this user alone
 */
export function createCompiledFolder(path: string | undefined): CompiledFolder {
  const root = path ?? join(tmpdir(), `compiled-onnx-models-${process.getuid?.() ?? 0}`);
  let work: WorkFolder | undefined;
  let made = 0;

  async function prepare(): Promise<void> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    if (path === undefined) await checkOwn(root);
    if (await isInMemory(root)) throw new Error(`files in ${root} take memory`);
  }

  async function workFolder(): Promise<WorkFolder> {
    await prepare().catch((cause: Error) => {
      throw path === undefined ? new NoFolderError(`${cause.message}: set COMPILED_FOLDER`, { cause }) : cause;
    });
    // A work folder is removed with its process; that of a process that was killed, by the next one.
    work ??= makeWorkFolder(root);
    return work;
  }

  return {
    async pathOf(name) {
      if (path === undefined) await checkOwn(root);
      return join(root, name);
    },
    async make(name, bytes, isInUse, fill) {
      const folder = join((await workFolder()).path, String(++made));
      await makeRoom(root, bytes, isInUse);
      try {
        await mkdir(folder);
        await fill(folder);
        await publish(folder, join(root, name));
        await flush(root);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      return join(root, name);
    },
    remove: (name) => rm(join(root, name), { recursive: true, force: true }).catch(() => {}),
    close: () => work?.remove(),
  };
}

/** Others can make folders where temporary files are. @throws Error if this one is not this user's alone */
async function checkOwn(folder: string): Promise<void> {
  const { uid, mode } = await lstat(folder);
  const isOwn = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
  if (!isOwn) throw new Error(`others can write to ${folder}`);
}

/** Gives a complete entry its name. One that has the name already stays: another process has made the same. */
async function publish(folder: string, path: string): Promise<void> {
  await rename(folder, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

/** Removes the entries that were used least recently, until there is room for another. @throws Error if there cannot be */
async function makeRoom(root: string, bytes: number, isInUse: (name: string) => boolean): Promise<void> {
  const names = (await readdir(root)).filter((name) => ENTRY.test(name));
  const entries = await Promise.all(
    names.map(async (name) => ({ name, ...((await describeEntry(join(root, name))) ?? { usedAt: 0, bytes: 0 }) })),
  );
  const bytesOf = (some: typeof entries): number => some.reduce((sum, entry) => sum + entry.bytes, 0);
  const { blocks, bavail, bsize } = await statfs(root);
  const [size, free] = [blocks * bsize, bavail * bsize];
  let room = Math.min(free - FREE_SHARE * size, DISK_SHARE * size - bytesOf(entries));
  const removable = entries.filter(({ name }) => !isInUse(name)).sort((a, b) => a.usedAt - b.usedAt);
  const most = Math.max(0, Math.floor(room + bytesOf(removable)));
  if (bytes > most) throw new Error(`it may take ${bytes} bytes, and ${root} has room for ${most}`);
  let count = entries.length;
  if (count - removable.length >= MOST_ENTRIES) throw new Error(`${root} has ${count} compiled models that are in use`);
  for (const entry of removable) {
    const fits = count < MOST_ENTRIES && bytes <= room;
    if (fits && Date.now() - entry.usedAt < UNUSED_MS) continue;
    await rm(join(root, entry.name), { recursive: true, force: true });
    count -= 1;
    room += entry.bytes;
  }
}
