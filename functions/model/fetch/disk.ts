import { statfs } from 'node:fs/promises';
import { ServingError } from '../../errors.ts';

/** `f_type` of tmpfs and ramfs: statfs(2). */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);

/** Whether files in this folder take memory, by the type of its file system. Cloud Run's in-memory file system is not recognized. */
export async function isInMemory(folder: string): Promise<boolean> {
  const { type } = await statfs(folder);
  return IN_MEMORY.has(type >>> 0);
}

/**
 * Checks that the disk of a folder has room for a file.
 * @param what the name of the file, for the message
 * @throws ServingError `MODEL_FAILED` if the disk has less than `bytes` free
 */
export async function checkRoom(folder: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  const message = `${what} takes ${bytes} bytes, and ${folder} has ${free} free: give it a larger volume (TMPDIR), or mount the bucket`;
  throw new ServingError('MODEL_FAILED', message);
}
