import { join } from 'node:path';
import type { CodePreparation } from '../../engine/prepared/preparation.ts';
import { ServingError } from '../../errors.ts';
import type { Entry } from '../sources/source.ts';
import { type ListedVersion, placeOf } from './layout.ts';

/** The names of a model's code in its folder, of which it may have one. */
export const TRANSFORM_FILES: readonly string[] = ['transform.ts', 'transform.js'];
/** The folder beside it with what it imports and reads. */
const TRANSFORM_FOLDER = 'transform/';

/** The files of a model's code, by path below its folder: itself, and what lies in `transform/`. Empty if it has no code. */
export function transformParts(siblings: ReadonlyMap<string, Entry>): [path: string, entry: Entry][] {
  if (!TRANSFORM_FILES.some((name) => siblings.has(name))) return [];
  return [...siblings].filter(([path]) => TRANSFORM_FILES.includes(path) || path.startsWith(TRANSFORM_FOLDER));
}

/**
 * Refuses a model of a bucket that has code, unless the operator allows it.
 * @throws ServingError `MODEL_FAILED` that names the file and the setting
 */
export function refuseCode(root: string, version: ListedVersion): void {
  const found = TRANSFORM_FILES.find((name) => version.siblings.has(name));
  if (found === undefined || !root.startsWith('gs://')) return;
  const place = placeOf(root, version, found);
  const message = `${place} is code, and models of a bucket may have none: set MODEL_CODE=allow if you trust everybody who can write to the bucket`;
  throw new ServingError('MODEL_FAILED', message);
}

interface CodeOptions {
  /** Display name of the models' root. */
  readonly root: string;
  readonly version: ListedVersion;
  /** The folder on the disk with the version's files. */
  readonly folder: string;
  /** Others can write to the folder. */
  readonly local: boolean;
}

/**
 * How a model's code is run; undefined if it has none.
 * @throws ServingError `MODEL_FAILED` if there are two files
 */
export function codePreparation({ root, version, folder, local }: CodeOptions): CodePreparation | undefined {
  const parts = transformParts(version.siblings);
  const [name, other] = TRANSFORM_FILES.filter((file) => version.siblings.has(file));
  if (name === undefined) return undefined;
  const place = placeOf(root, version, name);
  if (other !== undefined) {
    throw new ServingError('MODEL_FAILED', `${place}: there is ${other} as well: keep the one that is to run`);
  }
  const stamps = parts.map(([path, { stamp }]) => [join(folder, path), stamp] as const);
  return { kind: 'code', path: join(folder, name), place, stamps: local ? stamps : undefined };
}
