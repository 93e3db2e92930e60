import type { CacheEvent } from '../sources/redis/cache.ts';
import type { Entry, Scope, SourceFault } from '../sources/source.ts';

/** What a fetching process works on. */
export interface FetchSource {
  readonly uri: string;
  readonly cache: { readonly url: string; readonly ttlSeconds: number; readonly maxBytes: number } | undefined;
}

/** One file to fetch. */
export interface FileOrder {
  /** Below the folder that it is fetched to. */
  readonly path: string;
  /** What is listed of it. */
  readonly entry: Entry;
  /** The largest that it may be once it is unpacked; undefined: what the disk has room for. */
  readonly maxBytes: number | undefined;
}

/** A `.onnx` file to be inspected. */
export interface ModelOrder {
  /** Below the folder, or anywhere. */
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
  /** The model's file, where it is among them. */
  readonly model: ModelOrder | undefined;
}

/** What a model's file says of itself. */
export interface Checked {
  /** Where its weights lie, by path from its own folder, as the file has them. */
  readonly external: readonly string[];
}

export type Job =
  | { readonly kind: 'list'; readonly scope: Scope }
  | { readonly kind: 'folders' }
  | { readonly kind: 'fetchModel'; readonly order: FetchOrder }
  | { readonly kind: 'check'; readonly model: ModelOrder };

export type ToWorker =
  | { readonly open: FetchSource | undefined }
  | { readonly id: number; readonly job: Job }
  | { readonly id: number; readonly cancel: true };

/** An error that crosses processes: what a ServingError has, and the fault of a SourceError. */
export interface SerializedError {
  readonly message: string;
  readonly fault: SourceFault | undefined;
}

export type FromWorker =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SerializedError }
  | { readonly id: number; readonly bytes: number }
  | { readonly retry: { readonly message: string; readonly waitMs: number } }
  | { readonly cache: CacheEvent };
