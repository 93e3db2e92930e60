import { statSync } from 'node:fs';

interface Times {
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/** A file has changed since it was listed. */
export class StampError extends Error {
  override readonly name = 'StampError';
  readonly code = 'FILE_CHANGED';
}

/**
 * The stamp of a file, which changes whenever its content changes: size in bytes and mtime in ns. The inode is not part of it,
 * because Cloud Storage FUSE gives a file a new one after the kernel has dropped the old; nor is ctime, which a chmod or a backup's
 * hard link changes.
 */
export function stampOfFile({ size, mtimeNs }: Times): string {
  return `${size}-${mtimeNs}`;
}

/** Checks that a file has not changed: all engines of a generation must load the same content. @throws StampError */
export function checkStamp(path: string, stamp: string): void {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) throw new StampError(`${path}: the file is gone since it was listed`);
  if (stampOfFile(found) !== stamp) throw new StampError(`${path}: the file has changed since it was listed`);
}
