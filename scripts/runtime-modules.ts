/**
 * `node scripts/runtime-modules.ts [--pictures off] FOLDER`: copies the packages that the bundle of the container loads at run time into
 * FOLDER/node_modules: those outside the bundle, and their dependencies by the lock file.
 */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readCommandLine } from './command-line.ts';
import { CONTAINER_EXTERNALS, PICTURE_EXTERNALS } from './externals.ts';

interface LockedPackage {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}
type Lock = Readonly<Record<string, LockedPackage>>;

/** Dependencies that no running server loads. */
const UNUSED = new Set([
  // For onnxruntime-node's install script.
  'adm-zip',
  'global-agent',
  // For fetch-blob, on a Node without web streams.
  'web-streams-polyfill',
]);

/**
 * The folders of the packages `names` and of their dependencies, as paths of the lock file (`node_modules/a/node_modules/b`). A
 * dependency is resolved as in Node: in the package's own `node_modules`, then in those above it.
 * @throws Error if a package is not in the lock file, unless it is optional.
 */
export function dependencyFolders(lock: Lock, names: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (from: string, name: string, optional: boolean): void => {
    if (UNUSED.has(name)) return;
    const folder = resolve(lock, from, name);
    if (folder === undefined) {
      if (optional) return;
      throw new Error(`${name}, needed by ${from || 'the server'}, is not in package-lock.json: run npm install`);
    }
    if (found.has(folder)) return;
    found.add(folder);
    const { dependencies, optionalDependencies, peerDependencies } = lock[folder] ?? {};
    for (const needed of Object.keys(dependencies ?? {})) {
      visit(folder, needed, needed in (optionalDependencies ?? {}));
    }
    for (const needed of Object.keys({ ...optionalDependencies, ...peerDependencies })) visit(folder, needed, true);
  };
  for (const name of names) visit('', name, false);
  return [...found].sort();
}

function resolve(lock: Lock, from: string, name: string): string | undefined {
  for (let above = from; ; above = above.slice(0, Math.max(0, above.lastIndexOf('/node_modules/')))) {
    const folder = `${above === '' ? '' : `${above}/`}node_modules/${name}`;
    if (folder in lock) return folder;
    if (above === '') return undefined;
  }
}

/** The CommonJS copy of sharp, which is imported as a module. */
const UNUSED_COPY = /node_modules\/sharp\/dist\/.*\.cjs$/;

/** Whether a file of a package is copied: types, source maps, sources of native parts and texts are not; licences are. */
export function isRuntimeFile(path: string): boolean {
  const name = basename(path);
  if (/^(licen[sc]e|notice|copying)/i.test(name)) return true;
  if (UNUSED_COPY.test(path)) return false;
  return !name.startsWith('.') && !/\.(map|[cm]?ts|md|markdown|flow|tsbuildinfo|cc|h|gyp|rs|toml)$/i.test(name);
}

/** Copies the packages `names` and their dependencies, by the lock file of `root`, into `target`/node_modules. */
export function copyPackages(root: string, target: string, names: readonly string[]): void {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Lock };
  for (const folder of dependencyFolders(lock.packages, names)) {
    // Types only, and the packages of other platforms that npm left out.
    if (folder.includes('node_modules/@types/') || !existsSync(join(root, folder))) continue;
    const own = join(root, folder);
    cpSync(own, join(target, folder), {
      recursive: true,
      filter: (path) => isRuntimeFile(path) && !path.slice(own.length).startsWith('/node_modules'),
    });
  }
}

/**
 * The packages that a container needs.
 * @param pictures `on` or `off`: whether it serves models of pictures
 * @throws Error for anything else
 */
export function packagesOf(pictures: string): string[] {
  if (pictures === 'on') return CONTAINER_EXTERNALS;
  if (pictures !== 'off') throw new Error(`PICTURES: expected on or off, got ${pictures}`);
  return CONTAINER_EXTERNALS.filter((name) => !PICTURE_EXTERNALS.includes(name));
}

if (import.meta.main) {
  const usage = `node scripts/runtime-modules.ts: copies the packages that the container's bundle loads into FOLDER/node_modules.

Usage: node scripts/runtime-modules.ts [--pictures off] FOLDER

  --pictures   off leaves out what only models of pictures need; default on`;
  const { values, positionals } = readCommandLine(usage, { pictures: { type: 'string', default: 'on' } }, [1, 1]);
  const names = packagesOf(values.pictures);
  copyPackages(join(import.meta.dirname, '..'), positionals[0]!, names);
}
