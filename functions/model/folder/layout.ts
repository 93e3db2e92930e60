import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { ServingError } from '../../errors.ts';
import { listNames, shorten } from '../../shorten.ts';
import type { Entry } from '../sources/source.ts';
import { exportParts } from './export/export-files.ts';
import { transformParts } from './transform-files.ts';

/** One version of a model, by what was listed of it; nothing of it has been read. */
export interface ListedVersion {
  /** The model's name: its path below the repository, slashes included, or the name of the root. `model.json` may give it another. */
  readonly name: string;
  /** The number of its folder; undefined if the model has no version folders. */
  readonly number: string | undefined;
  /** The folder below the root; `''` for the root itself. */
  readonly folder: string;
  /** The path of its `.onnx` file below the folder: `model.onnx`, or that of `MODEL_FILE`; of an export `onnx/model.onnx`. */
  readonly file: string;
  /** That file. */
  readonly model: Entry;
  /** The other files of the folder, by path below it: the manifest, golden rows, weights, and files of other programs. */
  readonly siblings: ReadonlyMap<string, Entry>;
}

/** The models below a `MODEL_URI`, or below one folder of it. */
export interface Layout {
  readonly root: string;
  /** The folder below the root that was listed alone; undefined if all folders were listed. */
  readonly under: string | undefined;
  /** The path of the `.onnx` file below a model's folder. */
  readonly file: string;
  /** The name of the root if it is a model: a folder with `model.onnx` or versions of it, or one `.onnx` file. */
  readonly own: string | undefined;
  /** The versions of each model, by its name: from the highest number down, each number once. One without a number is the last. */
  readonly models: ReadonlyMap<string, readonly ListedVersion[]>;
  /** The number of models; if one folder was listed alone, that of the folders at the root. */
  readonly total: number;
  /** Numbered folders above a model's highest version with files but no model: an unfinished upload, or a mistake. */
  readonly unfinished: readonly string[];
  /** Folders with the number of another folder, `01` beside `1`: they do not serve. */
  readonly duplicates: readonly string[];
  /** Paths of `.onnx` files that belong to no model. */
  readonly otherFiles: readonly string[];
}

const DEFAULT_MODEL_FILE = 'model.onnx';
/** The name of a model's manifest in its folder. */
export const MANIFEST_FILE = 'model.json';
/** The name of the file of golden rows in a model's folder. */
export const GOLDEN_FILE = 'golden.json';
/** The name of the signature of a model's files, in its folder. */
export const SIGNATURE_FILE = 'model.sig';
const NUMBER = /^\d{1,18}$/;
/** The folder that exporters put a model's file into, below that of the export's JSON files. */
const EXPORT_SUBFOLDER = 'onnx';
/** Of these, an export has one at least in the folder above {@link EXPORT_SUBFOLDER}. */
const EXPORT_MARKERS = ['config.json', 'tokenizer.json'];

interface LayoutOptions {
  /** The path of the `.onnx` file below a model's folder. Default: {@link DEFAULT_MODEL_FILE}. */
  readonly file?: string | undefined;
  /** The folder below the root that was listed alone. */
  readonly under?: string | undefined;
  /** The number of folders at the root, if one was listed alone. */
  readonly total?: number | undefined;
}

/**
 * Finds the models and versions of a listing: `[<version>/]model.onnx` if the root is one model, else
 * `<name>/[<version>/]model.onnx`. A root that ends in `.onnx` is that file, and the listing is of its folder.
 *
 * A folder `onnx` whose parent has `config.json` or `tokenizer.json` is part of the parent, as exporters of Hugging Face write it:
 * `<name>/[<version>/]onnx/model.onnx` is the model `<name>`. If the parent has the file too, that one serves.
 */
export function readLayout(root: string, entries: readonly Entry[], options: LayoutOptions = {}): Layout {
  if (root.endsWith('.onnx')) return readFile(root, entries);
  const { file = DEFAULT_MODEL_FILE, under, total } = options;
  const { folders, otherFiles } = findFolders(entries, file);
  const own = [...folders.keys()].filter((folder) => partsOfName(folder).length === 0);
  const named = [...folders.keys()].filter((folder) => partsOfName(folder).length > 0);
  const siblings = assignToFolders(entries, folders);
  const models = new Map<string, ListedVersion[]>();
  for (const folder of [...own, ...named]) {
    const parts = partsOfName(folder);
    const number = numberOf(folder);
    const [name, version] = parts.length > 0 ? [parts.join('/'), number] : nameOfRoot(root, number);
    const versions = models.get(name) ?? [];
    versions.push({
      name,
      number: version,
      folder,
      ...folders.get(folder)!,
      siblings: siblings.get(folder) ?? new Map(),
    });
    models.set(name, versions);
  }
  const duplicates: string[] = [];
  for (const [name, versions] of models) {
    const sorted = versions.sort(byNumber);
    const isFirst = ({ number }: ListedVersion, i: number): boolean => i === 0 || sorted[i - 1]!.number !== number;
    duplicates.push(...sorted.filter((version, i) => !isFirst(version, i)).map(({ folder }) => folder));
    models.set(name, sorted.filter(isFirst));
  }
  return {
    root,
    under,
    file,
    own: own.length > 0 ? nameOfRoot(root, undefined)[0] : undefined,
    models,
    total: Math.max(total ?? 0, models.size),
    unfinished: findUnfinished(entries, folders, models),
    duplicates,
    otherFiles,
  };
}

type ModelFile = Pick<ListedVersion, 'file' | 'model'>;

/** The folders of a listing that have a model's file, and the paths of the other `.onnx` files. */
function findFolders(
  entries: readonly Entry[],
  file: string,
): { folders: Map<string, ModelFile>; otherFiles: string[] } {
  const marked = new Set(
    entries.filter(({ path }) => EXPORT_MARKERS.includes(posix.basename(path))).map(({ path }) => folderOf(path)),
  );
  const folders = new Map<string, ModelFile>();
  const otherFiles: string[] = [];
  for (const model of entries) {
    const { path } = model;
    if (path !== file && !path.endsWith(`/${file}`)) {
      if (path.endsWith('.onnx')) otherFiles.push(path);
      continue;
    }
    const own = path.slice(0, -file.length - 1);
    const above = folderAbove(own);
    const isExport = above !== undefined && marked.has(above);
    const folder = isExport ? above : own;
    const found = { file: isExport ? `${EXPORT_SUBFOLDER}/${file}` : file, model };
    const other = folders.get(folder);
    const [serving, ignored] = other !== undefined && isExport ? [other, found] : [found, other];
    folders.set(folder, serving);
    if (ignored !== undefined) otherFiles.push(ignored.model.path);
  }
  return { folders, otherFiles };
}

/** The folder above one named `onnx`, of which that is a part if it has the files of an export; `''` for the root. */
export function folderAbove(folder: string): string | undefined {
  return posix.basename(folder) === EXPORT_SUBFOLDER ? folderOf(folder) : undefined;
}

/** The error for a model that does not exist; also for one that the caller may not use. */
export const unknownModel = (name: string): ServingError =>
  new ServingError('NOT_FOUND', `there is no model ${shorten(name)}`);

/** The version of a number, or without one the highest. @throws ServingError `NOT_FOUND` */
export function chooseVersion(layout: Layout, name: string, number: string | undefined): ListedVersion {
  const versions = layout.models.get(name);
  if (versions === undefined) throw unknownModel(name);
  const chosen = number === undefined ? versions[0] : versions.find((version) => version.number === number);
  if (chosen !== undefined) return chosen;
  throw new ServingError('NOT_FOUND', `the model ${shorten(name)} has no version ${shorten(number ?? '')}`);
}

/**
 * The name of the model behind `/predict`: that of `MODEL_NAME`; else the root itself, if it is a model; else the only one. A model
 * in the root of a repository, by mistake perhaps, does not replace the named one.
 * @param wanted `MODEL_NAME`; required if there are several models
 * @throws ServingError `MODEL_FAILED` that names the files that were expected
 */
export function chooseDefault(layout: Layout, wanted: string | undefined): string {
  const { root, models, own, file } = layout;
  const names = [...models.keys()];
  if (wanted !== undefined && models.has(wanted)) return wanted;
  // If the root is the only model, it is the one, whatever its name.
  if (own !== undefined && (wanted === undefined || names.length === 1)) return own;
  if (wanted !== undefined) {
    if (wanted.split('/').some((part) => part === '..' || part === '' || part === '.')) {
      throw failed(`MODEL_NAME ${wanted}: not a name`);
    }
    const choices = names.length === 0 ? '' : `: MODEL_NAME takes ${listOf(names)}`;
    const others = hintOf(layout, `${wanted}/`);
    throw failed(`no ${file} in ${root}/${wanted}, nor in a numbered version folder of it${others || choices}`);
  }
  if (names.length === 1) return names[0]!;
  if (names.length === 0)
    throw failed(`MODEL_URI ${root}: no ${file} in it, nor in <name>/ or <name>/<version>/${hintOf(layout, '')}`);
  throw failed(
    `MODEL_URI ${root} holds ${names.length} models: set MODEL_NAME to one of ${listOf(names)}, which /predict then serves; ` +
      'each is served at /models/<name>/predict',
  );
}

/** Names the `.onnx` files below a folder that `MODEL_FILE` could choose; '' if there are none. */
function hintOf({ otherFiles }: Layout, folder: string): string {
  const found = otherFiles.filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length));
  return found.length === 0 ? '' : `; there is ${listOf(found)}: set MODEL_FILE to the one to serve`;
}

/**
 * The files that a load reads, by path below the version's folder: the model, the manifest, the golden rows, the signature, the
 * files of an export, its code and the weights.
 * @param weights paths below the folder of the external data to which the file refers
 */
export function partsOf({ file, model, siblings }: ListedVersion, weights: readonly string[]): Map<string, Entry> {
  const parts = new Map([[file, model], ...exportParts(siblings), ...transformParts(siblings)]);
  for (const path of [MANIFEST_FILE, GOLDEN_FILE, SIGNATURE_FILE, ...weights]) {
    const entry = siblings.get(path);
    if (entry !== undefined) parts.set(path, entry);
  }
  return parts;
}

/** The stamp of a version, which changes whenever one of its parts does: a new upload, another folder, one part more or less. */
export function stampOf(version: ListedVersion, weights: readonly string[]): string {
  const parts = [...partsOf(version, weights)].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([version.folder, parts.map(([path, { stamp, bytes }]) => [path, stamp, bytes])]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Bytes of the model and its weights, as they are stored. */
export function bytesOf(version: ListedVersion, weights: readonly string[]): number {
  const stored = weights.map((path) => version.siblings.get(path)?.bytes ?? 0);
  return stored.reduce((sum, bytes) => sum + bytes, version.model.bytes);
}

/** Bytes of the files of an export, as they are stored. */
export const exportBytesOf = ({ siblings }: ListedVersion): number =>
  exportParts(siblings).reduce((sum, [, { bytes }]) => sum + bytes, 0);

/** The display name of a file below a version's folder, by default the model's: its path, or its `gs://` URI. */
export function placeOf(root: string, { folder, file }: ListedVersion, path = file): string {
  if (root.endsWith('.onnx')) return path === file ? root : `${posix.dirname(root)}/${path}`;
  return [root, folder, path].filter((part) => part !== '').join('/');
}

function readFile(root: string, entries: readonly Entry[]): Layout {
  const file = posix.basename(root);
  const model = entries.find(({ path }) => path === file);
  const models = new Map<string, ListedVersion[]>();
  if (model !== undefined) {
    const stem = file.slice(0, -'.onnx'.length);
    const [name, number] = stem === 'model' ? nameOfRoot(posix.dirname(root), undefined) : [stem, undefined];
    const siblings = new Map(entries.filter((entry) => entry !== model).map((entry) => [entry.path, entry]));
    models.set(name, [{ name, number, folder: '', file, model, siblings }]);
  }
  const own = [...models.keys()][0];
  return { root, under: undefined, file, own, models, total: 1, unfinished: [], duplicates: [], otherFiles: [] };
}

/** A root that is itself a version folder, `models/iris/3`, is version 3 of iris. */
function nameOfRoot(root: string, number: string | undefined): [name: string, number: string | undefined] {
  const base = posix.basename(root);
  const above = posix.basename(posix.dirname(root));
  return number === undefined && NUMBER.test(base) && above !== '' ? [above, plain(base)] : [base || 'model', number];
}

/** Assigns each file to the model in the nearest folder above it. */
function assignToFolders(
  entries: readonly Entry[],
  models: ReadonlyMap<string, ModelFile>,
): Map<string, Map<string, Entry>> {
  const found = new Map<string, Map<string, Entry>>();
  for (const entry of entries) {
    let folder = folderOf(entry.path);
    while (folder !== '' && !models.has(folder)) folder = folderOf(folder);
    const owner = models.get(folder);
    if (owner === undefined || owner.model === entry) continue;
    const files = found.get(folder) ?? new Map<string, Entry>();
    files.set(folder === '' ? entry.path : entry.path.slice(folder.length + 1), entry);
    found.set(folder, files);
  }
  return found;
}

function findUnfinished(
  entries: readonly Entry[],
  folders: ReadonlyMap<string, ModelFile>,
  models: ReadonlyMap<string, readonly ListedVersion[]>,
): string[] {
  const highest = new Map<string, bigint>();
  for (const [first] of models.values()) {
    const { folder, number } = first!;
    highest.set(number === undefined ? folder : folderOf(folder), number === undefined ? -1n : BigInt(number));
  }
  const found = new Set<string>();
  for (const { path } of entries) {
    for (let folder = folderOf(path); folder !== ''; folder = folderOf(folder)) {
      const number = numberOf(folder);
      const above = highest.get(folderOf(folder));
      if (number === undefined || above === undefined || folders.has(folder)) continue;
      if (BigInt(number) > above) found.add(folder);
    }
  }
  return [...found];
}

function numberOf(folder: string): string | undefined {
  const last = posix.basename(folder);
  return NUMBER.test(last) ? plain(last) : undefined;
}

/** Version numbers are int64 in every protocol: `00000123` is 123. */
const plain = (digits: string): string => String(BigInt(digits));

/** The parts of a folder's path that are the model's name: all but a version number. */
function partsOfName(folder: string): string[] {
  const parts = folder === '' ? [] : folder.split('/');
  if (numberOf(folder) !== undefined) parts.pop();
  return parts;
}

/**
 * Orders versions from the highest number down. Of folders with the same number, the shortest is first, then by name, so that the
 * order of the listing has no effect.
 */
function byNumber(a: ListedVersion, b: ListedVersion): number {
  if (a.number === b.number) return a.folder.length - b.folder.length || (a.folder < b.folder ? -1 : 1);
  if (a.number === undefined || b.number === undefined) return a.number === undefined ? 1 : -1;
  return BigInt(a.number) > BigInt(b.number) ? -1 : 1;
}

const listOf = (names: readonly string[]): string => listNames(names.toSorted());
const folderOf = (path: string): string => (path.includes('/') ? posix.dirname(path) : '');
const failed = (message: string): ServingError => new ServingError('MODEL_FAILED', message);
