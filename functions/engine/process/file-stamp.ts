import { fstatSync, openSync, statSync } from 'node:fs';

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

/** Files with the stamps that they must have, by path. */
export type Stamps = readonly (readonly [path: string, stamp: string])[];

/** Checks several files: see {@link checkStamp}. @throws StampError */
export function checkStamps(stamps: Stamps): void {
  for (const [path, stamp] of stamps) checkStamp(path, stamp);
}

/** Files that are open, so that a file which takes the place of one of them is not mistaken for it. */
export interface OpenFiles {
  /**
   * Whether one of them was written to since it had its stamp. A mapping shows what is written to its file, so that the results of a
   * session that maps one are wrong from then on; files that were replaced or removed stay as they were.
   */
  areChanged(): boolean;
}

/** Opens files for the life of this process. @throws the error of `openSync` */
export function openFiles(stamps: Stamps): OpenFiles {
  const opened = stamps.map(([path, stamp]) => ({ file: openSync(path, 'r'), stamp }));
  return {
    areChanged: () => opened.some(({ file, stamp }) => stampOfFile(fstatSync(file, { bigint: true })) !== stamp),
  };
}
