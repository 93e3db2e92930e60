import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { MANIFEST_FILE } from '../../model/folder/layout.ts';
import type { LocalModel } from '../samples/local-model.ts';

/** The samples of a model without a file of them: the example of its model.json. @throws ServingError if it has none */
export function findSamples({ manifest, folder, place }: LocalModel): string {
  if (manifest.example !== undefined) return join(folder, MANIFEST_FILE);
  throw new ServingError(
    'INVALID_INPUT',
    `${place}: there are no rows: give a CSV or NDJSON file of rows, or an example in model.json`,
  );
}

/** @throws ServingError `INVALID_INPUT` if there is such a file, unless it may be replaced; or if there is no folder for it */
export function checkTarget(file: string, force: boolean): void {
  if (!existsSync(dirname(file))) throw new ServingError('INVALID_INPUT', `${file}: its folder does not exist`);
  if (!force && existsSync(file))
    throw new ServingError('INVALID_INPUT', `${file} exists: --force replaces it, --output writes another file`);
}

/** Writes a complete file, or none. @throws ServingError as `checkTarget` does; the error of the system */
export function writeGolden(file: string, text: string, force: boolean): void {
  checkTarget(file, force);
  const made = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(made, text);
    renameSync(made, file);
  } finally {
    rmSync(made, { force: true });
  }
}
