import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ServingError } from '../errors.ts';
import { checkRoom, isInMemory } from './disk.ts';
import type { BringOrder } from './fetch-protocol.ts';
import { createFetcher, type FetcherEvents } from './fetcher.ts';
import { GOLDEN_FILE, type Layout, MANIFEST_FILE, type ModelVersion, readLayout } from './layout.ts';
import { createFileSource } from './sources/file.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

export interface StoreOptions {
  /** A path, a `file://` address, or `gs://bucket/…`. */
  readonly uri: string;
  /** Redis in front of a bucket. */
  readonly cache: { readonly url: string; readonly ttlSeconds: number; readonly maxBytes: number } | undefined;
  /** Files take memory wherever they lie: Cloud Run. */
  readonly filesAreMemory: boolean;
}

export interface BringOptions {
  /** It is nothing that anybody waits for. */
  readonly gentle: boolean;
  /** SHA-256 that the model's file must have, in hex. */
  readonly sha256: string | undefined;
  /** Bytes brought so far. */
  readonly onBytes: (bytes: number) => void;
}

/** A model's files on a local disk. */
export interface LocalModel {
  readonly path: string;
  /** Paths below its folder of the weights it refers to; undefined where only its engine will know. */
  readonly weights: readonly string[] | undefined;
  /** Lets go of files that were brought. */
  release(): Promise<void>;
}

/** Where a server's models come from, as the serving process sees it. */
export interface ModelStore {
  readonly root: string;
  /** Models are loaded where they lie. */
  readonly local: boolean;
  /** Whether what is brought takes memory. */
  inMemory(): Promise<boolean>;
  /** @param gentle it is nothing that anybody waits for. @throws SourceError */
  list(gentle: boolean): Promise<Layout>;
  /** @throws SourceError, or ServingError `MODEL_FAILED`. */
  bring(version: ModelVersion, options: BringOptions): Promise<LocalModel>;
  close(): void;
}

/** The store that a `MODEL_URI` names. */
export function createStore(options: StoreOptions, events: FetcherEvents): ModelStore {
  return options.uri.startsWith('gs://') ? createBucketStore(options, events) : createLocalStore(options, events);
}

function createLocalStore({ uri }: StoreOptions, events: FetcherEvents): ModelStore {
  const source = createFileSource(uri);
  const never = new AbortController();
  const fetcher = createFetcher(undefined, events);
  const folder = source.root.endsWith('.onnx') ? dirname(source.root) : source.root;
  return {
    root: source.root,
    local: true,
    inMemory: async () => false,
    list: async () => readLayout(source.root, await source.list(never.signal)),
    async bring({ model }, { sha256 }) {
      const path = join(folder, model.path);
      if (sha256 !== undefined) {
        const got = await fetcher.hash(path);
        const message = `${path}: its SHA-256 is ${got}, MODEL_SHA256 is ${sha256}`;
        if (got !== sha256) throw new ServingError('MODEL_FAILED', message);
      }
      return { path, weights: undefined, release: async () => {} };
    },
    close: fetcher.close,
  };
}

function createBucketStore({ uri, cache, filesAreMemory }: StoreOptions, events: FetcherEvents): ModelStore {
  const root = uri.replace(/\/+$/, '');
  const prompt = createFetcher({ uri, cache }, events);
  const gentle = createFetcher({ uri, cache }, events, true);
  // The client's library loads while the server's own do.
  prompt.start();
  let work: WorkFolder | undefined;
  let brought = 0;

  function folderFor(): string {
    work ??= makeWorkFolder();
    return join(work.path, String(++brought));
  }

  return {
    root,
    local: false,
    async inMemory() {
      work ??= makeWorkFolder();
      return filesAreMemory || isInMemory(work.path);
    },
    list: async (quietly) => readLayout(root, await (quietly ? gentle : prompt).list()),
    async bring(version, { gentle: quietly, sha256, onBytes }) {
      const folder = folderFor();
      const release = (): Promise<void> => rm(folder, { recursive: true, force: true });
      const { model, beside } = version;
      const along = [MANIFEST_FILE, GOLDEN_FILE].flatMap((name) => {
        const entry = beside.get(name);
        return entry === undefined ? [] : [[name, entry] as const];
      });
      const order: BringOrder = { folder, model: [basename(model.path), model], along, beside: [...beside], sha256 };
      try {
        await checkRoom(dirname(folder), model.bytes, `${root}: ${model.path}`);
        const { weights } = await (quietly ? gentle : prompt).bring(order, onBytes);
        return { path: join(folder, basename(model.path)), weights, release };
      } catch (error) {
        await release();
        throw error;
      }
    },
    close() {
      prompt.close();
      gentle.close();
      work?.remove();
    },
  };
}
