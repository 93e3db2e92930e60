import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { type ModelFiles, readFiles } from '../../model/folder/files.ts';
import { chooseVersion, type Layout, readLayout } from '../../model/folder/layout.ts';
import { weightPaths } from '../../model/folder/weights.ts';
import { createFileSource } from '../../model/sources/file.ts';
import { inspectModel } from '../../onnx/inspect.ts';

/** A model on this machine. */
export interface LocalModel extends ModelFiles {
  /** The folder with model.json and golden.json. */
  readonly folder: string;
}

/**
 * Finds the files of a model as the server does: of a `.onnx` file with what lies beside it, or of the highest version in a
 * model's folder, or in a folder with one model.
 * @param path of the file or the folder
 * @throws ServingError `MODEL_FAILED` that says what is expected, or which file is wrong
 */
export async function findLocalModel(path: string): Promise<LocalModel> {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path))
    throw failed(`${path}: expected a model on this machine, a .onnx file or a folder: copy it first`);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw failed(`${path}: no such file or folder`);
  if (found.isFile() && !path.endsWith('.onnx'))
    throw failed(`${path}: a model is a file whose name ends in .onnx, or a folder`);
  const source = createFileSource(path);
  const layout = readLayout(source.root, await source.list(AbortSignal.timeout(LISTING_MS)));
  const version = chooseVersion(layout, nameOf(layout, path), undefined);
  const folder = found.isFile() ? join(source.root, '..') : join(source.root, version.folder);
  const file = join(folder, version.file);
  const weights = weightPaths(version.file, inspectModel(file).external, file);
  return { ...(await readFiles({ root: source.root, version, folder, weights, local: true })), folder };
}

/** The name of the model in a listing. @throws ServingError if there is none, or several */
function nameOf({ models, own, file, otherFiles }: Layout, path: string): string {
  const [first, second] = models.keys();
  if (own !== undefined) return own;
  if (first === undefined) {
    const other = otherFiles[0] === undefined ? '' : `; to use ${otherFiles[0]}, give its path`;
    throw failed(`${path}: expected ${file} in it, or in a folder with the number of a version${other}`);
  }
  if (second === undefined) return first;
  throw failed(`${path}: it has ${models.size} models: give the folder of one, such as ${join(path, first)}`);
}

const LISTING_MS = 30_000;
const failed = (message: string): ServingError => new ServingError('MODEL_FAILED', message);
