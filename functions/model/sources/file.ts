import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServingError } from '../../errors.ts';
import { parseGolden, parseManifest } from '../manifest.ts';
import type { ModelFiles, ModelSource } from '../source.ts';

const MODEL_FILE = 'model.onnx';
const VERSION = /^\d+$/;

/**
 * Models on a local disk: in the image, or on a volume that an init container or Cloud Storage FUSE fills.
 * @param uri one `.onnx` file, one model's folder (`[<version>/]model.onnx` in it), or a repository: `<name>/[<version>/]model.onnx`.
 * @param name which model of a repository; needed where there are several.
 */
export function createFileSource(uri: string, name: string | undefined): ModelSource {
  const root = resolve(uri.startsWith('file://') ? fileURLToPath(uri) : uri);

  async function fetch(): Promise<ModelFiles> {
    const found = await kindOf(root);
    if (found === 'file') return describe(root, stem(root), undefined);
    if (found === 'none') throw missing(`MODEL_URI ${root}: no such file or folder`);
    const own = await newestIn(root);
    if (own !== undefined) return describe(own.path, basename(root), own.version);
    return fromFolder(root, await chooseModel());
  }

  async function chooseModel(): Promise<string> {
    if (name !== undefined) {
      if (name.split('/').some((part) => part === '..' || part === '')) throw missing(`MODEL_NAME ${name}: not a name`);
      return name;
    }
    const names: string[] = [];
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (!entry.name.startsWith('.') && (await newestIn(join(root, entry.name))) !== undefined) names.push(entry.name);
    }
    if (names.length === 1) return names[0]!;
    if (names.length === 0)
      throw missing(`MODEL_URI ${root}: no ${MODEL_FILE} in it, nor in <name>/ or <name>/<version>/`);
    throw missing(
      `MODEL_URI ${root} holds ${names.length} models: set MODEL_NAME to one of ${names.sort().join(', ')}`,
    );
  }

  return { fetch };
}

async function fromFolder(root: string, name: string): Promise<ModelFiles> {
  const newest = await newestIn(join(root, name));
  if (newest === undefined)
    throw missing(`no ${MODEL_FILE} in ${join(root, name)}, nor in a numbered version folder of it`);
  return describe(newest.path, name, newest.version);
}

/** The highest numbered version of a model's folder, or the folder itself. */
async function newestIn(folder: string): Promise<{ path: string; version: string | undefined } | undefined> {
  const own = join(folder, MODEL_FILE);
  const entries = await readdir(folder).catch(() => []);
  const versions = entries.filter((entry) => VERSION.test(entry)).sort((a, b) => (BigInt(b) > BigInt(a) ? 1 : -1));
  for (const version of versions) {
    const path = join(folder, version, MODEL_FILE);
    if ((await kindOf(path)) === 'file') return { path, version };
  }
  return (await kindOf(own)) === 'file' ? { path: own, version: undefined } : undefined;
}

async function describe(path: string, name: string, version: string | undefined): Promise<ModelFiles> {
  const folder = dirname(path);
  const [manifestText, goldenText, { size }, external] = await Promise.all([
    readIfThere(join(folder, 'model.json')),
    readIfThere(join(folder, 'golden.json')),
    stat(path),
    externalBytes(folder),
  ]);
  const manifest = manifestText === undefined ? {} : parseManifest(manifestText, join(folder, 'model.json'));
  const golden = goldenText === undefined ? undefined : parseGolden(goldenText, join(folder, 'golden.json'));
  return {
    name: manifest.name ?? name,
    version: version ?? manifest.version ?? '1',
    path,
    bytes: size + external,
    manifest,
    golden,
  };
}

/** Weights that an exporter put beside the model: PyTorch and the ONNX tools end their names in `data`. */
async function externalBytes(folder: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => /[._]data$/.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'none'> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return 'none';
  return found.isDirectory() ? 'folder' : 'file';
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw missing(`cannot read ${path}: ${error.message}`);
  });
}

function stem(path: string): string {
  const name = basename(path).replace(/\.onnx$/, '');
  return name === 'model' ? basename(dirname(path)) : name;
}

function missing(message: string): ServingError {
  return new ServingError('MODEL_FAILED', message);
}
