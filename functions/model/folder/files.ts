import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Preparation } from '../../engine/prepared/preparation.ts';
import { ServingError } from '../../errors.ts';
import { GOLDEN_FILE, type ListedVersion, MANIFEST_FILE, partsOf, placeOf, SIGNATURE_FILE } from './layout.ts';
import { type Golden, type Manifest, parseGolden, parseManifest, TEXT_BYTES } from './manifest.ts';
import { codePreparation } from './transform.ts';
import { transformParts } from './transform-files.ts';

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
  readonly manifest: Manifest;
  readonly golden: Golden | undefined;
  /** How the model's inputs are made from texts or pictures. Undefined or absent: callers send tensors. */
  readonly preparation?: Preparation | undefined;
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
 * Reads the manifest, the golden rows and the sizes of a model's files.
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
  const texts = [MANIFEST_FILE, GOLDEN_FILE, SIGNATURE_FILE];
  const code = new Set(transformParts(version.siblings).map(([path]) => path));
  const parts = [...partsOf(version, weights)].filter(([path]) => !texts.includes(path) && !code.has(path));
  const preparation = codePreparation({ root, version, folder, local });
  return {
    name: manifest.name ?? version.name,
    version: version.number ?? manifest.version ?? '1',
    path: join(folder, version.file),
    place: placeOf(root, version),
    bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    manifest,
    golden,
    ...(preparation !== undefined && { preparation }),
    stamps: local ? parts.map(([path, { stamp }]) => [join(folder, path), stamp]) : undefined,
  };

  /** Reads a file that was listed. One that was not listed is ignored: it may be new, and belongs to the next version then. */
  async function readIfThere(name: string): Promise<string | undefined> {
    if (!version.siblings.has(name)) return undefined;
    const place = placeOf(root, version, name);
    try {
      const file = await open(join(folder, name));
      try {
        checkTextSize(place, name, (await file.stat()).size);
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    } catch (cause) {
      if (cause instanceof ServingError) throw cause;
      throw new ServingError('MODEL_FAILED', `cannot read ${place}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** Checks the listed sizes of the manifest and the golden rows. @throws ServingError `MODEL_FAILED` if one is too large */
export function checkTextSizes(root: string, version: ListedVersion): void {
  for (const name of [MANIFEST_FILE, GOLDEN_FILE]) {
    const entry = version.siblings.get(name);
    if (entry !== undefined) checkTextSize(placeOf(root, version, name), name, entry.bytes);
  }
}

function checkTextSize(place: string, name: string, bytes: number): void {
  const limit = TEXT_BYTES[name]!;
  if (bytes <= limit) return;
  const how = name === GOLDEN_FILE ? 'keep fewer golden rows' : 'it is for names and a description';
  throw new ServingError('MODEL_FAILED', `${place} has ${bytes} bytes, and may have ${limit}: ${how}`);
}
