import { statSync } from 'node:fs';

interface Times {
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/**
 * Another one whenever a file's content is. Without the inode, as Cloud Storage FUSE gives a file another one when the kernel
 * has forgotten the last; and without the time of the inode, which a chmod or a backup's link changes.
 */
export function stampOfFile({ size, mtimeNs }: Times): string {
  return `${size}-${mtimeNs}`;
}

/** @throws Error where the file is no longer the one that has this stamp: an engine that is replaced must load what the others did. */
export function checkStamp(path: string, stamp: string): void {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) throw new Error('the file is gone since it was listed');
  if (stampOfFile(found) !== stamp) throw new Error('the file has changed since it was listed');
}
