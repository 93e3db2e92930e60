import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ServingError } from '../errors.ts';
import { bytesOf, GOLDEN_FILE, MANIFEST_FILE, type ModelVersion, partsOf } from './layout.ts';
import { type Golden, type Manifest, parseGolden, parseManifest } from './manifest.ts';
import type { LocalModel } from './store.ts';

/** A model's files, in place on a local disk and ready to be loaded. */
export interface ModelFiles {
  readonly name: string;
  readonly version: string;
  /** The `.onnx` file. External data lies beside it. */
  readonly path: string;
  /** What the file is called towards people: its path, or its address in the bucket. */
  readonly place: string;
  /** Of the file and its weights. */
  readonly bytes: number;
  readonly manifest: Manifest;
  readonly golden: Golden | undefined;
  /**
   * Stamps of the file and these weights, by path, as they were listed; undefined where nobody else can write to them.
   * @param weights what the file refers to, by path below its folder; what is called like it where that is not known.
   */
  stamps(weights?: readonly string[]): [path: string, stamp: string][] | undefined;
}

/**
 * Reads what goes with a model's file.
 * @param root what the models' place is called towards people.
 * @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes.
 */
export async function readFiles(
  root: string,
  version: ModelVersion,
  { path, weights }: LocalModel,
): Promise<ModelFiles> {
  const folder = dirname(path);
  const shown = placeOf(root, version, '');
  const [manifestText, goldenText, { size }] = await Promise.all([
    readIfThere(folder, MANIFEST_FILE, version, shown),
    readIfThere(folder, GOLDEN_FILE, version, shown),
    stat(path),
  ]);
  const manifest = manifestText === undefined ? {} : parseManifest(manifestText, shown + MANIFEST_FILE);
  const golden = goldenText === undefined ? undefined : parseGolden(goldenText, shown + GOLDEN_FILE);
  return {
    name: manifest.name ?? version.name,
    version: version.number ?? manifest.version ?? '1',
    path,
    place: root.endsWith('.onnx') ? root : shown + path.slice(folder.length + 1),
    // What is stored may be compressed; the file on the disk is not.
    bytes: size + bytesOf(version, weights) - version.model.bytes,
    manifest,
    golden,
    stamps(external) {
      if (weights !== undefined) return undefined;
      const parts = [...partsOf(version, external)].filter(([part]) => part !== MANIFEST_FILE && part !== GOLDEN_FILE);
      return parts.map(([part, { stamp }]) => [join(folder, part), stamp]);
    },
  };
}

/** A file of the version, as it is called towards people. */
function placeOf(root: string, { folder }: ModelVersion, file: string): string {
  return `${root.endsWith('.onnx') ? dirname(root) : [root, folder].filter((part) => part !== '').join('/')}/${file}`;
}

/** A file that was listed has to be there; one that was not may have come since, and belongs to the next version. */
async function readIfThere(
  folder: string,
  name: string,
  version: ModelVersion,
  shown: string,
): Promise<string | undefined> {
  if (!version.beside.has(name)) return undefined;
  return readFile(join(folder, name), 'utf8').catch((cause: Error) => {
    throw new ServingError('MODEL_FAILED', `cannot read ${shown}${name}: ${cause.message}`, { cause });
  });
}
