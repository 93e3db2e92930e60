import type { CacheEvent } from '../sources/redis/cache.ts';
import type { Entry, Scope, SourceFault } from '../sources/source.ts';

/** The bucket or the local folder that a fetching process reads, and the cache in front of a bucket. */
export interface FetchSource {
  readonly uri: string;
  readonly cache: { readonly url: string; readonly ttlSeconds: number; readonly maxBytes: number } | undefined;
}

/** One file to fetch. */
export interface FileOrder {
  /** Its path below the folder to which it is fetched. */
  readonly path: string;
  /** The file in the source. */
  readonly entry: Entry;
  /** The most bytes that it may have uncompressed; undefined: as many as the disk has room for. */
  readonly maxBytes: number | undefined;
  /** SHA-256 that it must have uncompressed, in hex. */
  readonly sha256?: string | undefined;
}

/** A `.onnx` file to inspect. */
export interface ModelOrder {
  /** In a {@link FetchOrder} below the folder, else a path on the disk. */
  readonly path: string;
  /** Display name: its path or `gs://` URI. */
  readonly place: string;
  /** SHA-256 that it must have, in hex. */
  readonly sha256: string | undefined;
}

/** Files to fetch to a folder. */
export interface FetchOrder {
  readonly folder: string;
  readonly files: readonly FileOrder[];
  /** The model's file, if it is one of them. */
  readonly model: ModelOrder | undefined;
}

/** The signature of a model's files, to fetch and to verify. */
export interface SignatureOrder extends Pick<FileOrder, 'entry'> {
  readonly folder: string;
  /** Display name: its path or `gs://` URI. */
  readonly place: string;
  /** PEM. */
  readonly publicKeys: string;
}

/** The result of inspecting a model's file. */
export interface Checked {
  /** The locations of its weights, as the file has them: paths relative to the file's folder. */
  readonly external: readonly string[];
  /** Bytes of the file that engines can map; undefined for none. */
  readonly mappableBytes?: number;
}

/** A job of a fetching process. Its result: entries, names of folders, `Checked`, or `SignedFiles`. */
export type Job =
  | { readonly kind: 'list'; readonly scope: Scope }
  | { readonly kind: 'folders' }
  | { readonly kind: 'fetchModel'; readonly order: FetchOrder }
  | { readonly kind: 'verify'; readonly order: SignatureOrder }
  | { readonly kind: 'check'; readonly model: ModelOrder };

/** A message to a fetching process. `open` is the first one. */
export type ToWorker = { readonly open: FetchSource | undefined } | { readonly id: number; readonly job: Job };

/** An error as it is sent between processes: a SourceError, or without a fault a ServingError `MODEL_FAILED`. */
export interface SerializedError {
  readonly message: string;
  readonly fault: SourceFault | undefined;
}

/** A message from a fetching process. `id` is that of the job; `bytes` are those fetched so far. */
export type FromWorker =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SerializedError }
  | { readonly id: number; readonly bytes: number }
  | { readonly retry: { readonly message: string; readonly waitMs: number } }
  | { readonly cache: CacheEvent };
