import { ServingError } from '../../errors.ts';

/** One file of a source, as it was listed. */
export interface Entry {
  /** The path below the source's root, with `/` between its parts: `iris/3/model.onnx`. No NUL, and no `.` or `..` parts. */
  readonly path: string;
  /** The number of stored bytes. */
  readonly bytes: number;
  /** Changes whenever the content does: an object's generation; a local file's size and modification time. */
  readonly stamp: string;
  /** The checksum of the stored bytes, if the source has it. */
  readonly crc32c: number | undefined;
  /** The MD5 of the stored bytes, in hex, if the source has it. */
  readonly md5: string | undefined;
  /** The stored bytes are compressed, `Content-Encoding: gzip`. */
  readonly gzip: boolean;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** What to list of a source. */
export interface Scope {
  /** The only folder to list, in the form of {@link Entry.path}. Default: all. */
  readonly under?: string | undefined;
  /** Paths below the root of files to list as well: hidden ones, and those beside a root that is one file. */
  readonly also?: readonly string[] | undefined;
}

/**
 * A place from which models are read. Each method makes one attempt: the caller retries after a `transient` error.
 */
export interface Source {
  /** Display name, without credentials: `/srv/models`, `gs://bucket/models`. */
  readonly root: string;
  /** Others can write its bytes on the way, so that a checksum that can be forged, as CRC32C, is not enough. */
  readonly shared: boolean;
  /**
   * Every file below the root, or of the scope, in the order of the paths. If the root is one file: that file, its manifest and
   * golden rows, and the scope's `also`; a source may add other files of the folder.
   * @throws SourceError
   */
  list(signal: AbortSignal, scope?: Scope): Promise<readonly Entry[]>;
  /** The names of the folders directly below the root, at least the first thousand. @throws SourceError */
  folders(signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Reads the stored bytes `start` to `end` (exclusive) of an entry, pinned to its stamp.
   * @param onChunk gets the bytes in order, as they arrive and without gaps; a chunk is valid only during the call
   * @throws SourceError after any number of bytes: the caller continues after those that it received. `changed` if the entry is not
   * as it was listed.
   */
  read(
    entry: Entry,
    start: number,
    end: number,
    onChunk: (chunk: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Closes its connections. */
  close(): Promise<void>;
}

/**
 * The kinds of a source's errors:
 * - `transient`: another attempt may succeed: a reset, a stall, 408, 429, 5xx.
 * - `changed`: the listed entry no longer exists: list again.
 * - `refused`: another attempt will fail until the cause is removed: 401, 403, 404, a bad address.
 */
export type SourceFault = 'transient' | 'changed' | 'refused';

/** Why a source could not be listed or read. The message is for the operator: it says what to do. */
export class SourceError extends ServingError {
  readonly fault: SourceFault;
  /** Seconds that the source asks to wait before the next attempt. */
  readonly waitSeconds: number | undefined;

  constructor(fault: SourceFault, message: string, details: { cause?: unknown; waitSeconds?: number } = {}) {
    super('MODEL_FAILED', message, { cause: details.cause });
    this.name = 'SourceError';
    this.fault = fault;
    this.waitSeconds = details.waitSeconds;
  }
}
