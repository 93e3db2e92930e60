import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package of the lock file. */
export interface LockedPackage {
  readonly version?: string;
  /** An SPDX identifier or expression. */
  readonly license?: string;
  /** The checksum of its archive: `sha512-` and base64. */
  readonly integrity?: string;
  readonly dev?: boolean;
}

/** The packages of `package-lock.json` by their folders: `node_modules/a/node_modules/b`; '' is the project itself. */
export type Lock = Readonly<Record<string, LockedPackage>>;

/** Reads the lock file of `root`. */
export function readLock(root: string): Lock {
  return (JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Lock }).packages;
}

/** The name of the package in a folder of the lock file. */
export const nameOf = (folder: string): string => folder.slice(folder.lastIndexOf('node_modules/') + 13);

/** The part of esbuild's metafile that says which bytes of which file a bundle has. */
interface Metafile {
  readonly outputs: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>
  >;
}

/** The folders of the packages of which a bundle contains code, by esbuild's metafile. */
export function bundledFolders({ outputs }: Metafile): string[] {
  const folders = new Set<string>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const [, folder] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder.slice(folder.indexOf('node_modules/')));
    }
  }
  return [...folders].sort();
}

/** The folders of the lock file that `root` contains. */
export function installedFolders(lock: Lock, root: string): string[] {
  return Object.keys(lock).filter((folder) => folder !== '' && existsSync(join(root, folder, 'package.json')));
}
