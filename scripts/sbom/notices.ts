import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBom } from './bom.ts';
import { licenceTexts } from './licences.ts';
import { readLock } from './packages.ts';

/**
 * Writes `sbom.cdx.json` and `THIRD_PARTY_LICENSES.txt` into the folder `target`.
 * @param root the project's folder, where all packages are installed.
 * @param folders those of the shipped packages, as in the lock file.
 * @throws Error if a package is not in the lock file, or has no licence text.
 */
export function writeNotices(
  root: string,
  target: string,
  folders: readonly string[],
  others: Parameters<typeof createBom>[2] = [],
): void {
  const lock = readLock(root);
  writeFileSync(join(target, 'sbom.cdx.json'), `${JSON.stringify(createBom(lock, folders, others), undefined, 2)}\n`);
  writeFileSync(join(target, 'THIRD_PARTY_LICENSES.txt'), licenceTexts(root, lock, folders));
}
