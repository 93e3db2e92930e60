import { opendir, realpath, rm } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { ServingError } from '../../errors.ts';
import { EXPORT_FILES, exportBytes, exportParts, USUAL_POOLING_FILE } from '../folder/export/export-files.ts';
import { folderAbove, type Layout, type ListedVersion, placeOf, readLayout, SIGNATURE_FILE } from '../folder/layout.ts';
import { TEXT_BYTES } from '../folder/manifest.ts';
import { refuseCode } from '../folder/transform.ts';
import { TRANSFORM_FILES, transformParts } from '../folder/transform-files.ts';
import { checkSigned, signatureOf } from '../signature/signed-version.ts';
import { createFileSource } from '../sources/file.ts';
import type { Entry, Scope } from '../sources/source.ts';
import { checkRoom, isInMemory } from './disk.ts';
import { createFetcher, type Fetcher, type FetcherEvents } from './fetcher.ts';
import type { FetchSource, FileOrder } from './protocol.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

interface StoreOptions {
  /** A path, a `file://` address, or `gs://bucket/…`. */
  readonly uri: string;
  /** The path of the `.onnx` file below a model's folder. Default: `model.onnx`. */
  readonly file?: string | undefined;
  /** Redis in front of a bucket. */
  readonly cache: { readonly url: string; readonly ttlSeconds: number; readonly maxBytes: number } | undefined;
  /** Files take memory in every folder, as on Cloud Run. */
  readonly filesAreMemory: boolean;
  /** Whether models of a bucket may have code. Default: they may not. */
  readonly allowsCode?: boolean;
  /** Models must be signed. Default: they need not be. */
  readonly signature?: SignatureOptions | undefined;
}

/** Who may sign models. */
interface SignatureOptions {
  /** PEM. */
  readonly publicKeys: string;
  /** The name that a signature must have if the root is the model, whose folder may have any name; undefined: any. */
  readonly modelName: string | undefined;
}

interface FetchOptions {
  /** Background work: lower priority. */
  readonly background: boolean;
  /** SHA-256 that the model's file must have, in hex. */
  readonly sha256: string | undefined;
  /** A local model's file is inspected even if no file beside it is likely to have weights. */
  readonly thorough?: boolean;
  /** Called with the bytes fetched so far. */
  readonly onBytes: (bytes: number) => void;
}

/** A model's files on a local disk. */
export interface FetchedModel {
  /** The folder of the version's files. */
  readonly folder: string;
  /**
   * The locations of its weights, as the file has them: paths relative to the file's folder. Empty for a local file that was not
   * inspected, because no file beside it is likely to have weights: its engine reports them.
   */
  readonly external: readonly string[];
  /** Bytes of the model's file that engines can map; undefined if the file was not inspected. */
  readonly mappableBytes: number | undefined;
  /**
   * Fetches the weights, unless they are on the disk already.
   * @param weights by path below the model's folder
   * @throws as `fetchModel`
   */
  fetchWeights(weights: readonly (readonly [path: string, entry: Entry])[]): Promise<void>;
  /** Removes files that were fetched. */
  release(): Promise<void>;
}

/** The models of a `MODEL_URI`: a local folder, or a bucket that fetching processes read. */
export interface ModelStore {
  /** Display name: a path or a `gs://` URI. */
  readonly root: string;
  /** Models are loaded from their folder, without a copy. */
  readonly local: boolean;
  /** Whether fetched files take memory. */
  inMemory(): Promise<boolean>;
  /**
   * Lists all models, or those below one folder.
   * @param background no request waits for it: it runs with a lower priority
   * @throws SourceError
   */
  list(background: boolean, scope?: Scope): Promise<Layout>;
  /**
   * Fetches a model's file, manifest, golden rows and the files of an export, and reads the locations of its weights from the file.
   * @throws SourceError, or ServingError `MODEL_FAILED`
   */
  fetchModel(version: ListedVersion, options: FetchOptions): Promise<FetchedModel>;
  close(): void;
}

/**
 * Creates the store of a `MODEL_URI`. A `gs://` URI that is not valid fails at the first listing. Signed local models are copied like
 * those of a bucket: what is loaded must be what was verified, whoever writes to their folder meanwhile.
 */
export function createStore(options: StoreOptions, events: FetcherEvents): ModelStore {
  const isCopied = options.uri.startsWith('gs://') || options.signature !== undefined;
  return isCopied ? createCopyingStore(options, events) : createLocalStore(options, events);
}

/** A fetching process for requests that wait, and one of lower priority. */
function createFetchers(from: FetchSource | undefined, events: FetcherEvents) {
  const foreground = createFetcher(from, events);
  const background = createFetcher(from, events, true);
  return {
    of: (isBackground: boolean): Fetcher => (isBackground ? background : foreground),
    close(): void {
      foreground.close();
      background.close();
    },
  };
}

function createLocalStore({ uri, file }: StoreOptions, events: FetcherEvents): ModelStore {
  const source = createFileSource(uri);
  const never = new AbortController();
  const fetchers = createFetchers(undefined, events);
  const rootFolder = source.root.endsWith('.onnx') ? dirname(source.root) : source.root;
  const list = createLister({
    root: source.root,
    file,
    entries: (scope) => source.list(never.signal, scope),
    folders: () => source.folders(never.signal),
  });
  return {
    root: source.root,
    local: true,
    inMemory: async () => false,
    list: (_, scope) => list(scope),
    async fetchModel(version, { background, sha256, thorough = false }) {
      const folder = join(rootFolder, version.folder);
      const path = join(folder, version.file);
      let external: readonly string[] = [];
      let mappableBytes: number | undefined;
      if (sha256 !== undefined || thorough || (await hasLikelyWeights(path))) {
        const place = placeOf(source.root, version);
        ({ external, mappableBytes = 0 } = await fetchers.of(background).check({ path, place, sha256 }));
      }
      return {
        folder,
        external,
        mappableBytes,
        fetchWeights: (weights) => refuseLinks(folder, path, weights),
        release: async () => {},
      };
    },
    close() {
      fetchers.close();
    },
  };
}

type Lister = (scope?: Scope) => Promise<Layout>;

interface ListerOptions {
  readonly root: string;
  readonly file: string | undefined;
  entries(scope: Scope): Promise<readonly Entry[]>;
  folders(): Promise<readonly string[]>;
}

/** Lists as `ModelStore.list` does. The folders are counted once: the count only has to show whether there are several models. */
function createLister({ root, file, entries, folders }: ListerOptions): Lister {
  let total: number | undefined;
  const listEntries = root.endsWith('.onnx') ? listBesideFile : entries;

  /** Also lists the files of an export and the code beside a root that is one file; that in a folder below only if there is such an export. */
  async function listBesideFile({ also = [], ...scope }: Scope): Promise<readonly Entry[]> {
    const paths = [...also, ...EXPORT_FILES, ...TRANSFORM_FILES];
    const listed = await entries({ ...scope, also: paths });
    const hasModules = listed.some(({ path }) => path === 'modules.json');
    return hasModules ? entries({ ...scope, also: [...paths, USUAL_POOLING_FILE] }) : listed;
  }

  return async (scope: Scope = {}): Promise<Layout> => {
    // Whether a folder `onnx` is a model of its own depends on the files in the folder above.
    const under = (scope.under === undefined ? undefined : folderAbove(scope.under)) ?? scope.under;
    return list({ ...scope, under: under === '' ? undefined : under });
  };

  async function list(scope: Scope): Promise<Layout> {
    const { under } = scope;
    const counted = under === undefined || total !== undefined ? undefined : folders();
    const [listed, names] = await Promise.all([listEntries(scope), counted]);
    // In a folder of folders, `team/churn`, there may be more.
    if (names !== undefined) total = names.length + (under!.includes('/') ? 1 : 0);
    const layout = readLayout(root, listed, { file, under, total: under === undefined ? undefined : total });
    total = layout.total;
    return layout;
  }
}

/**
 * Files that rarely have weights of the model's file: texts, code, pictures, and what exports of Hugging Face have for other libraries.
 * `..data` and the like are in the volumes of Kubernetes, with the same files; `.compiled` ends the folder of a compiled model.
 */
const NO_WEIGHTS = [
  /^\.\.|^\.git(ignore|attributes)?$|^(license|readme|notice)$/i,
  /\.(onnx|sig|json|jsonl|md|txt|csv|tsv|py|ipynb|ya?ml|html|pdf|png|jpe?g|webp|gif|[mc]?[jt]s|compiled)$/i,
  /\.(safetensors|h5|msgpack|ot|tflite|gguf|mlmodel|mlpackage|xml)$|\.model$/i,
  /^(pytorch|tf|flax|openvino|adapter)_model.*\.bin$|^(training_args|optimizer|scheduler)\.(bin|pt)$/i,
  /^(onnx|openvino|coreml|transform|\d+_[A-Z]\w*)$/,
];

/** Whether a file beside a model's file is likely to have its weights: then a process is started to inspect the model's file. */
async function hasLikelyWeights(path: string): Promise<boolean> {
  const found = await opendir(dirname(path)).catch(() => undefined);
  for await (const { name } of found ?? []) if (!NO_WEIGHTS.some((pattern) => pattern.test(name))) return true;
  return false;
}

/** Refuses links out of the folder: onnxruntime refuses them too, without a clear message. @throws ServingError `MODEL_FAILED` */
async function refuseLinks(
  folder: string,
  path: string,
  weights: readonly (readonly [path: string, entry: Entry])[],
): Promise<void> {
  if (weights.length === 0) return;
  const allowed = [await realpath(dirname(path)), dirname(await realpath(path))];
  for (const [below] of weights) {
    const real = await realpath(join(folder, below));
    if (allowed.some((one) => real.startsWith(one + sep))) continue;
    const message = `${path}: its external data ${join(folder, below)} is a link that leads to ${real}, outside of the model's folder: put the file itself there`;
    throw new ServingError('MODEL_FAILED', message);
  }
}

function createCopyingStore(options: StoreOptions, events: FetcherEvents): ModelStore {
  const { uri, file, cache, filesAreMemory, signature, allowsCode = false } = options;
  const root = uri.startsWith('gs://') ? uri.replace(/\/+$/, '') : createFileSource(uri).root;
  const fetchers = createFetchers({ uri, cache }, events);
  // Cloud Storage's client loads while the server's own libraries do.
  fetchers.of(false).start();
  let work: WorkFolder | undefined;
  let fetched = 0;

  function folderFor(): string {
    work ??= makeWorkFolder();
    return join(work.path, String(++fetched));
  }

  const [list, listInBackground] = [false, true].map((background) => {
    const { list: entries, folders } = fetchers.of(background);
    return createLister({ root, file, entries, folders });
  }) as [Lister, Lister];

  return {
    root,
    local: false,
    async inMemory() {
      work ??= makeWorkFolder();
      return filesAreMemory || isInMemory(work.path);
    },
    list: (background, scope) => (background ? listInBackground : list)(scope),
    async fetchModel(version, { background, sha256, onBytes }) {
      if (!allowsCode) refuseCode(root, version);
      const folder = folderFor();
      const fetcher = fetchers.of(background);
      const release = (): Promise<void> => rm(folder, { recursive: true, force: true });
      let before = 0;
      let signed: ReadonlyMap<string, string> | undefined;

      async function verify({ publicKeys, modelName }: SignatureOptions): Promise<ReadonlyMap<string, string>> {
        const entry = signatureOf(root, version);
        const place = placeOf(root, version, SIGNATURE_FILE);
        return checkSigned(root, version, await fetcher.verify({ folder, entry, place, publicKeys }), modelName);
      }

      async function fetch(listed: readonly FileOrder[], model?: { path: string; place: string; sha256?: string }) {
        const files = signed === undefined ? listed : listed.map((one) => withDigest(one, signed!));
        const bytes = files.reduce((sum, { entry }) => sum + entry.bytes, 0);
        await checkRoom(dirname(folder), bytes, placeOf(root, version));
        const order = { folder, files, model: model && { ...model, sha256 } };
        const checked = await fetcher.fetchModel(order, (more) => onBytes(before + more));
        before += bytes;
        return checked;
      }

      try {
        if (signature !== undefined) signed = await verify(signature);
        const texts = Object.entries(TEXT_BYTES).flatMap(([path, maxBytes]): FileOrder[] => {
          const entry = version.siblings.get(path);
          return entry === undefined ? [] : [{ path, entry, maxBytes }];
        });
        const settings = exportParts(version.siblings).map(
          ([path, entry]): FileOrder => ({ path, entry, maxBytes: exportBytes(path) }),
        );
        const code = transformParts(version.siblings).map(
          ([path, entry]): FileOrder => ({ path, entry, maxBytes: undefined }),
        );
        const model = { path: version.file, entry: version.model, maxBytes: undefined };
        const order = { path: version.file, place: placeOf(root, version) };
        const { external, mappableBytes = 0 } = await fetch([...texts, ...settings, ...code, model], order);
        return {
          folder,
          external,
          mappableBytes,
          async fetchWeights(weights) {
            if (weights.length > 0) await fetch(weights.map(([path, entry]) => ({ path, entry, maxBytes: undefined })));
          },
          release,
        };
      } catch (error) {
        await release();
        throw error;
      }
    },
    close() {
      fetchers.close();
      work?.remove();
    },
  };
}

/** The order of a file that must be as it was signed. @throws ServingError `MODEL_FAILED` if it was not */
function withDigest(order: FileOrder, signed: ReadonlyMap<string, string>): FileOrder {
  const sha256 = signed.get(order.path);
  if (sha256 !== undefined) return { ...order, sha256 };
  throw new ServingError('MODEL_FAILED', `${order.entry.path} is not signed`);
}
