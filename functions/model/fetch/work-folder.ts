import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The folder of the fetched models, for the life of this process. */
export interface WorkFolder {
  readonly path: string;
  /** Removes it. Also done when the process exits. */
  remove(): void;
}

const PREFIX = 'onnx-cloud-run-';
/** A process listens on this socket in its folder as long as it lives. Other containers can check that, unlike its pid. */
const ALIVE = 'alive';
/** The longest path of a socket: sockaddr_un, unix(7). */
const LONGEST_SOCKET = 107;
/** A younger folder without a socket may have been made just now. */
const MAKING_MS = 60_000;

/**
 * Makes a folder for this process below `parent`, and removes the folders of processes that were killed: a container that restarts
 * in its pod finds the files of its predecessor on the pod's volume.
 */
export function makeWorkFolder(parent = tmpdir()): WorkFolder {
  const path = mkdtempSync(join(parent, PREFIX));
  chmodSync(path, 0o700);
  const alive = createServer((socket) => socket.destroy());
  alive.on('error', () => {});
  if (join(path, ALIVE).length <= LONGEST_SOCKET) alive.listen(join(path, ALIVE)).unref();
  const remove = (): void => {
    alive.close();
    rmSync(path, { recursive: true, force: true });
  };
  process.on('exit', remove);
  void removeAbandoned(parent, path);
  return {
    path,
    remove() {
      process.off('exit', remove);
      remove();
    },
  };
}

/** Removes the folders whose process has ended. Settles when it is done; folders that cannot be removed stay. */
export async function removeAbandoned(parent: string, own: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = join(parent, name);
    if (!name.startsWith(PREFIX) || folder === own) continue;
    if (await isAbandoned(folder)) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

async function isAbandoned(folder: string): Promise<boolean> {
  const socket = join(folder, ALIVE);
  const [made, there] = await Promise.all([stat(folder), stat(socket)].map((found) => found.catch(() => undefined)));
  // Without a socket its process cannot be checked; it may be missing because its path would be too long.
  if (made === undefined || made.uid !== process.getuid?.()) return false;
  if (there === undefined) return socket.length <= LONGEST_SOCKET && Date.now() - made.mtimeMs > MAKING_MS;
  return new Promise((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
