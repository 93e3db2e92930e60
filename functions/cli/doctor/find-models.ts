import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { createStore, type FetchedModel, type ModelStore } from '../../model/fetch/store.ts';
import { checkTextSizes, type ModelFiles, readFiles } from '../../model/folder/files.ts';
import { chooseVersion, type Layout, type ListedVersion, placeOf } from '../../model/folder/layout.ts';
import { findWeights } from '../../model/serving/version-listing.ts';
import { inspectModel } from '../../onnx/inspect.ts';
import { mapWeights } from '../../onnx/map-weights.ts';
import { openBytes } from '../../onnx/wire.ts';
import { listNames } from '../../shorten.ts';
import type { VerbContext } from '../terminal/reporting.ts';

/** A model of the source, of which nothing has been read yet. */
export interface FoundModel {
  readonly version: ListedVersion;
  /** Its path or `gs://` URI. */
  readonly place: string;
  /** Numbers of lower versions of it. */
  readonly otherVersions: readonly string[];
  /** Fetches the `.onnx` file, unless it is local. @throws ServingError `MODEL_FAILED` */
  fetch(onBytes: (bytes: number) => void): Promise<LocalFile>;
}

/** The `.onnx` file of a model on this machine. */
export interface LocalFile {
  readonly path: string;
  /** The folder of the model's files. */
  readonly folder: string;
  /** Bytes of the file that engines can map. */
  readonly mappableBytes: number;
  /** Finds and fetches the weights, and reads model.json and golden.json. @throws ServingError `MODEL_FAILED` */
  complete(): Promise<ModelFiles>;
  release(): Promise<void>;
}

/** The models of a source. */
export interface FoundModels {
  readonly layout: Layout;
  /** Files are fetched from a bucket, and take memory on Cloud Run. */
  readonly isRemote: boolean;
  readonly models: readonly FoundModel[];
}

/**
 * Lists the models of a `.onnx` file, a model's folder, a folder of versions, a folder of models, or the same in a bucket.
 * @param only the name of the only model to find
 * @throws ServingError with what was expected if there is no model
 */
export async function findModels(uri: string, only: string | undefined, context: VerbContext): Promise<FoundModels> {
  const isRemote = uri.startsWith('gs://');
  if (!isRemote) checkLocal(uri);
  const events = { onRetry: (message: string) => context.note(message), onCache() {} };
  const store = createStore({ uri, cache: undefined, filesAreMemory: false }, events);
  context.onEnd(() => store.close());
  context.signal.addEventListener('abort', () => store.close(), { once: true });
  const layout = await store.list(false);
  const names = [...layout.models.keys()];
  if (names.length === 0) throw new ServingError('MODEL_FAILED', nothingFound(uri, layout));
  if (only !== undefined && !layout.models.has(only))
    throw new ServingError('NOT_FOUND', `${uri}: it has no model ${only}; it has ${listNames(names)}`);
  const models = names
    .filter((name) => only === undefined || name === only)
    .map((name) => foundModel(store, layout, layout.models.get(name)!));
  return { layout, isRemote, models };
}

/** Files and folders of the source that the server ignores, and why. */
export function ignoredFiles({ root, file, unfinished, duplicates, otherFiles }: Layout): string[] {
  return [
    ...unfinished.map((folder) => `${root}/${folder} has files, but no ${file}`),
    ...duplicates.map((folder) => `${root}/${folder} has the version number of another folder`),
    ...otherFiles.map((path) =>
      path.endsWith(`/${file}`)
        ? `${root}/${path}: the ${file} in the folder above it serves`
        : `${root}/${path} is not named ${file}: MODEL_FILE takes another name`,
    ),
  ];
}

/** @throws ServingError if the path cannot be a model's */
function checkLocal(path: string): void {
  if (/^(?!file:)[a-z][a-z0-9+.-]+:\/\//i.test(path))
    throw refused(`${path}: a model is a .onnx file, a folder, or gs://bucket/…`);
  if (path.startsWith('file://')) return;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw refused(`${path}: no such file or folder`);
  if (!found.isDirectory() && !path.endsWith('.onnx'))
    throw refused(`${path}: a model is a file whose name ends in .onnx, or a folder`);
}

function nothingFound(uri: string, { file, otherFiles, root }: Layout): string {
  const expected = `${uri}: expected ${file} in it, or in a folder of a version or of a model (<name>/[<version>/]${file})`;
  const [other] = otherFiles;
  if (other === undefined) return `${expected}, and found no .onnx file`;
  return `${expected}; rename ${other}, or give its path: onnx-cloud-run doctor ${join(root, other)}`;
}

function foundModel(store: ModelStore, { root }: Layout, versions: readonly ListedVersion[]): FoundModel {
  const [version, ...others] = versions as [ListedVersion, ...ListedVersion[]];
  const place = placeOf(root, version);
  return {
    version,
    place,
    otherVersions: others.flatMap(({ number }) => number ?? []),
    async fetch(onBytes) {
      checkTextSizes(root, version);
      const fetched = await store.fetchModel(version, { background: false, sha256: undefined, onBytes });
      return localFile(store, version, place, fetched);
    },
  };
}

function localFile(store: ModelStore, version: ListedVersion, place: string, fetched: FetchedModel): LocalFile {
  const { folder } = fetched;
  const path = join(folder, version.file);
  const { external } = inspect(path, place);
  return {
    path,
    folder,
    mappableBytes: mappableBytesOf(path),
    async complete() {
      const pick = (layout: Layout): ListedVersion => chooseVersion(layout, version.name, version.number);
      const { version: listed, weights } = await findWeights({ store, pick, onListed() {} }, version, external, false);
      await fetched.fetchWeights(weights.map((one) => [one, listed.siblings.get(one)!] as const));
      return readFiles({ root: store.root, version: listed, folder, weights, local: store.local });
    },
    release: fetched.release,
  };
}

function inspect(path: string, place: string): ReturnType<typeof inspectModel> {
  try {
    return inspectModel(path);
  } catch (error) {
    if (!(error instanceof ServingError)) throw error;
    throw new ServingError('MODEL_FAILED', error.message.replace(path, place), { cause: error });
  }
}

function mappableBytesOf(path: string): number {
  const bytes = openBytes(path);
  try {
    return mapWeights(bytes, basename(path)).bytes;
  } finally {
    bytes.close();
  }
}

const refused = (message: string): ServingError => new ServingError('INVALID_INPUT', message);
