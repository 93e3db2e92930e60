import { join } from 'node:path';
import type { CodePreparation } from '../../engine/prepared/preparation.ts';
import { ServingError } from '../../errors.ts';
import { type ListedVersion, placeOf } from './layout.ts';
import { TRANSFORM_FILES, transformParts } from './transform-files.ts';

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
