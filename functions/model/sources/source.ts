import { ServingError } from '../../errors.ts';

/** One file of a source, as it was when it was listed. */
export interface Entry {
  /** Below the source's root, its parts divided by `/`: `iris/3/model.onnx`. Any characters but NUL; no `.` or `..` parts. */
  readonly path: string;
  /** Of the bytes as they are stored. */
  readonly bytes: number;
  /** Changes whenever the content does: an object's generation; a local file's size and time of change. */
  readonly stamp: string;
  /** Of the stored bytes, where the source knows it. */
  readonly crc32c: number | undefined;
  /** Of the stored bytes, in hex, where the source knows it. */
  readonly md5: string | undefined;
  /** Stored compressed, `Content-Encoding: gzip`: the file itself comes out of gunzip. */
  readonly gzip: boolean;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** What to list of a source. */
export interface Scope {
  /** A folder below the root, as {@link Entry.path} has it: that alone. All where it is not given. */
  readonly under?: string | undefined;
  /** Files, by path below the root, that are wanted too where a listing leaves them out: hidden ones, those beside a root that is one file. */
  readonly also?: readonly string[] | undefined;
}

/**
 * A place that models are read from. Each method makes one attempt: the caller retries what is `transient`.
 */
export interface Source {
  /** Display name: `/srv/models`, `gs://bucket/models`. Holds no credentials. */
  readonly root: string;
  /** Its bytes pass through something that others can write to: a checksum that can be forged is not enough. */
  readonly shared: boolean;
  /**
   * Every file below the root, or of the scope, by path. Where the root is a file: that file, and what it is listed with.
   * @throws SourceError
   */
  list(signal: AbortSignal, scope?: Scope): Promise<readonly Entry[]>;
  /** Names of the folders directly below the root, the first thousand at least. @throws SourceError */
  folders(signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Reads the stored bytes `start` to `end` (exclusive) of an entry, pinned to its stamp.
   * @param onChunk gets the bytes in order, as they arrive and without gaps; a chunk is valid only during the call.
   * @throws SourceError after any number of bytes: the caller continues after those that it got. `changed` where the entry
   * is no longer what was listed.
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
 * - `transient`: another attempt may succeed: a reset, a stall, 408, 429, 5xx.
 * - `changed`: what was listed no longer exists: list again.
 * - `refused`: will fail again until somebody changes something: 401, 403, 404, a bad address.
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
