import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { GOLDEN_FILE, MANIFEST_FILE } from '../../model/folder/layout.ts';
import { type Golden, parseGolden, parseManifest } from '../../model/folder/manifest.ts';
import type { ReadyService } from './service.ts';

/**
 * Reads a golden.json. @returns undefined for a folder, whose file depends on the model that the server has
 * @throws ServingError `MODEL_FAILED` as `parseGolden` does; the error of the system
 */
export function readGolden(path: string): Golden | undefined {
  return statSync(path).isDirectory() ? undefined : parseGolden(readFileSync(path, 'utf8'), path);
}

/**
 * The golden rows below a folder of models whose model has this name and version; undefined if there are none. Names and versions
 * are those of the server: of the manifest or the folder.
 */
export function findGolden(folder: string, model: ReadyService['model']): Golden | undefined {
  const file = globSync(`**/${GOLDEN_FILE}`, { cwd: folder })
    .map((path) => join(folder, path))
    .find((path) => {
      const manifestFile = join(dirname(path), MANIFEST_FILE);
      const manifest = existsSync(manifestFile) ? parseManifest(readFileSync(manifestFile, 'utf8'), manifestFile) : {};
      const parts = relative(folder, dirname(path)).split(sep);
      // The server leaves out leading zeros.
      const number = /^\d+$/.test(parts.at(-1)!) ? BigInt(parts.pop()!).toString() : undefined;
      const name = manifest.name ?? (parts.join('/') || basename(resolve(folder)));
      return name === model?.name && (number ?? manifest.version ?? '1') === model.version;
    });
  return file === undefined ? undefined : parseGolden(readFileSync(file, 'utf8'), file);
}
