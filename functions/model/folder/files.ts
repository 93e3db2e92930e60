import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CodePreparation, Preparation } from '../../engine/prepared/preparation.ts';
import { ServingError } from '../../errors.ts';
import { exportBytes, exportPaths, TOKENIZER_FILE } from './export/export-files.ts';
import type { ReadPreparation, TokenizerPlace } from './export/read-preparation.ts';
import { GOLDEN_FILE, type ListedVersion, MANIFEST_FILE, placeOf } from './layout.ts';
import { type Golden, type Manifest, parseGolden, parseManifest, TEXT_BYTES } from './manifest.ts';
import { codePreparation } from './transform.ts';

/** Bytes of `tokenizer.json` before its vocabulary. */
const HEAD_BYTES = 4096;

/** A model's files on a local disk, with the contents of its texts: all that a load needs. */
export interface ModelFiles {
  readonly name: string;
  readonly version: string;
  /** The `.onnx` file. External data lies beside it. */
  readonly path: string;
  /** Display name of the file: its path or `gs://` URI. */
  readonly place: string;
  /** The size of the file and its weights, uncompressed. */
  readonly bytes: number;
  /** `model.json`, with the labels of a classifier's export as `classes` if it has none. */
  readonly manifest: Manifest;
  readonly golden: Golden | undefined;
  /** How the model's inputs are made from texts or pictures. Undefined or absent: callers send tensors. */
  readonly preparation?: Preparation | undefined;
  /** What an operator should know of how the files were read: lines for the log. */
  readonly notes?: readonly string[] | undefined;
  /** Stamps of the file and its weights, by path, as they were listed; undefined if only this process writes to them. */
  readonly stamps: readonly (readonly [path: string, stamp: string])[] | undefined;
}

interface FilesOptions {
  /** Display name of the models' root, for the log: a path or a `gs://` URI. */
  readonly root: string;
  readonly version: ListedVersion;
  /** The folder on the disk with the version's files. */
  readonly folder: string;
  /** Paths below the folder of the weights that the model's file refers to. */
  readonly weights: readonly string[];
  /** Others can write to the folder. */
  readonly local: boolean;
}

/**
 * Reads the manifest, the golden rows, the files of an export and the sizes of a model's files.
 * @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes
 */
export async function readFiles({ root, version, folder, weights, local }: FilesOptions): Promise<ModelFiles> {
  const [manifestText, goldenText, ...sizes] = await Promise.all([
    readIfThere(MANIFEST_FILE),
    readIfThere(GOLDEN_FILE),
    // The listed size may be that of the compressed object; the file on the disk is uncompressed.
    ...[version.file, ...weights].map(async (path) => (await stat(join(folder, path))).size),
  ]);
  const manifest = manifestText === undefined ? {} : parseManifest(manifestText, placeOf(root, version, MANIFEST_FILE));
  const golden = goldenText === undefined ? undefined : parseGolden(goldenText, placeOf(root, version, GOLDEN_FILE));
  const { preparation, classes, note } = await readInput();
  return {
    name: manifest.name ?? version.name,
    version: version.number ?? manifest.version ?? '1',
    path: join(folder, version.file),
    place: placeOf(root, version),
    bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    manifest: classes === undefined ? manifest : { ...manifest, classes: [...classes] },
    golden,
    ...(preparation !== undefined && { preparation }),
    ...(note !== undefined && { notes: [note] }),
    stamps: local ? stampsOf(version, weights).map(([path, stamp]) => [join(folder, path), stamp]) : undefined,
  };

  async function readInput(): Promise<ReadPreparation> {
    const { input, classes } = manifest;
    const code = codePreparation({ root, version, folder, local });
    if (code !== undefined) return refuseBoth(code, input);
    const paths = exportPaths(version.siblings);
    const isWanted = input?.text !== undefined || input?.image !== undefined || paths.length > 0;
    if (!isWanted || input?.tensors === true) return {};
    const texts = new Map<string, string>();
    let tokenizer: TokenizerPlace | undefined;
    for (const path of paths) {
      const { bytes, stamp } = version.siblings.get(path)!;
      const place = placeOf(root, version, path);
      checkTextSize(place, path, bytes);
      if (path !== TOKENIZER_FILE) texts.set(path, (await readIfThere(path))!);
      else {
        const file = join(folder, path);
        tokenizer = { path: file, place, stamp: local ? stamp : undefined, head: await readHead(file, place) };
      }
    }
    // Few models need it: it takes time to load.
    const { readPreparation } = await import('./export/read-preparation.ts');
    try {
      return readPreparation({ input, classes, texts, tokenizer });
    } catch (error) {
      if (!(error instanceof ServingError)) throw error;
      // It begins with the path of a file below the folder.
      throw new ServingError(error.code, placeOf(root, version, error.message), { cause: error });
    }
  }

  /** Reads a file that was listed. One that was not listed is ignored: it may be new, and belongs to the next version then. */
  async function readIfThere(name: string): Promise<string | undefined> {
    if (!version.siblings.has(name)) return undefined;
    const place = placeOf(root, version, name);
    try {
      return await readSmall(join(folder, name), (bytes) => checkTextSize(place, name, bytes));
    } catch (cause) {
      if (cause instanceof ServingError) throw cause;
      throw new ServingError('MODEL_FAILED', `cannot read ${place}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** @throws ServingError `MODEL_FAILED` if `model.json` says as well how the inputs are made */
function refuseBoth(preparation: CodePreparation, input: Manifest['input']): ReadPreparation {
  const field = ['text', 'image'].find((name) => input?.[name as 'text' | 'image'] !== undefined);
  if (field === undefined) return { preparation };
  const message = `${preparation.place} and input.${field} of model.json both say how the inputs are made: keep one of them`;
  throw new ServingError('MODEL_FAILED', message);
}

/** The stamps of the files that engines load, by path below the folder. The others are read here once. */
function stampsOf(version: ListedVersion, weights: readonly string[]): [path: string, stamp: string][] {
  const entries = [
    [version.file, version.model] as const,
    ...weights.map((path) => [path, version.siblings.get(path)] as const),
  ];
  return entries.flatMap(([path, entry]) => (entry === undefined ? [] : [[path, entry.stamp] as [string, string]]));
}

/** Reads the first bytes of a file. @throws ServingError `MODEL_FAILED` */
async function readHead(path: string, place: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new ServingError('MODEL_FAILED', `cannot read ${place}: ${(cause as Error).message}`, { cause });
  }
}

/** Reads a text whose size is checked first. */
async function readSmall(path: string, checkSize: (bytes: number) => void): Promise<string> {
  const file = await open(path);
  try {
    checkSize((await file.stat()).size);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Checks the listed sizes of the manifest and the golden rows. @throws ServingError `MODEL_FAILED` if one is too large */
export function checkTextSizes(root: string, version: ListedVersion): void {
  for (const name of [MANIFEST_FILE, GOLDEN_FILE]) {
    const entry = version.siblings.get(name);
    if (entry !== undefined) checkTextSize(placeOf(root, version, name), name, entry.bytes);
  }
}

const HOW_SMALLER: Readonly<Record<string, string>> = {
  [MANIFEST_FILE]: 'it is for names and a description',
  [GOLDEN_FILE]: 'keep fewer golden rows',
};

function checkTextSize(place: string, name: string, bytes: number): void {
  const limit = TEXT_BYTES[name] ?? exportBytes(name);
  if (bytes <= limit) return;
  const how = HOW_SMALLER[name] ?? 'if callers send tensors, write "input": {"tensors": true} into model.json';
  throw new ServingError('MODEL_FAILED', `${place} has ${bytes} bytes, and may have ${limit}: ${how}`);
}
