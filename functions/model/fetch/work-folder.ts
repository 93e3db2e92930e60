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
/** A process listens on this socket in its folder for as long as it lives: seen from other containers too, where pids say nothing. */
const ALIVE = 'alive';
/** sockaddr_un: unix(7). */
const LONGEST_SOCKET = 107;
/** A folder without a socket may be one that is being made. */
const MAKING_MS = 60_000;

/**
 * Makes a folder of this process's own below `parent`, and removes what processes that were killed have left there: a
 * container that is started again in its pod finds its predecessor's files on the pod's volume.
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
  void sweep(parent, path);
  return {
    path,
    remove() {
      process.off('exit', remove);
      remove();
    },
  };
}

/** Removes the folders whose process is gone. Settles when it is done; what cannot be removed stays. */
export async function sweep(parent: string, own: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = join(parent, name);
    if (!name.startsWith(PREFIX) || folder === own) continue;
    if (await isAbandoned(folder)) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

async function isAbandoned(folder: string): Promise<boolean> {
  const socket = join(folder, ALIVE);
  const [made, there] = await Promise.all([stat(folder), stat(socket)].map((found) => found.catch(() => undefined)));
  // Without a socket no process can be asked; a name too long for a socket does not prove that its process has ended.
  if (made === undefined || made.uid !== process.getuid?.()) return false;
  if (there === undefined) return socket.length <= LONGEST_SOCKET && Date.now() - made.mtimeMs > MAKING_MS;
  return new Promise((resolve) => {
    const asked = connect(socket, () => {
      asked.destroy();
      resolve(false);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
