import type { Entry, SourceFault } from './source.ts';
import type { CacheEvent } from './sources/redis-cache.ts';

/** What a fetching process works on. */
export interface FetchSource {
  readonly uri: string;
  readonly cache: { readonly url: string; readonly ttlSeconds: number; readonly maxBytes: number } | undefined;
}

/** One model to be brought to a folder. */
export interface BringOrder {
  readonly folder: string;
  /** The file's name in the folder, and what is listed of it. */
  readonly model: readonly [path: string, entry: Entry];
  /** What comes along in any case: manifest and golden rows. */
  readonly along: readonly (readonly [path: string, entry: Entry])[];
  /** What else lies beside the model: its weights may be among it. */
  readonly beside: readonly (readonly [path: string, entry: Entry])[];
  /** SHA-256 that the model's file must have, in hex. */
  readonly sha256: string | undefined;
}

export interface Brought {
  /** Paths of the weights that the model refers to. */
  readonly weights: readonly string[];
}

export type Job =
  | { readonly kind: 'list' }
  | { readonly kind: 'bring'; readonly order: BringOrder }
  | { readonly kind: 'hash'; readonly path: string };

export type ToWorker =
  | { readonly open: FetchSource | undefined }
  | { readonly id: number; readonly job: Job }
  | { readonly id: number; readonly cancel: true };

/** An error that crosses processes: what a ServingError has, and the fault of a SourceError. */
export interface Told {
  readonly message: string;
  readonly fault: SourceFault | undefined;
}

export type FromWorker =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: Told }
  | { readonly id: number; readonly bytes: number }
  | { readonly retry: { readonly message: string; readonly waitMs: number } }
  | { readonly cache: CacheEvent };
