import { statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { isPage, routeOf } from './pages.ts';

/** Where a link is: the repository's folder on the disk and its address, and the page. */
export interface Place {
  readonly root: string;
  readonly repository: string;
  /** The page's path in the repository. */
  readonly page: string;
}

/**
 * The target of a link of a page, in the site: another page by its path from the site's root, with `.md`; a file that is not in the
 * site at its place on GitHub. Addresses and anchors of the same page stay.
 */
export function linkTarget(target: string, { root, repository, page }: Place): string {
  if (isElsewhere(target)) return target;
  const [path, anchor] = target.split('#') as [string, string?];
  const file = posix.join(posix.dirname(page), path);
  const hash = anchor === undefined ? '' : `#${anchor}`;
  if (isPage(file)) return `/${routeOf(file)}${hash}`;
  const { href } = new URL(target, `${repository}/blob/main/${page}`);
  return isFolder(join(root, file)) ? href.replace(`${repository}/blob/`, `${repository}/tree/`) : href;
}

/** The source of a picture of a page: a file of the repository by its path from the page, with `./`; another address as it is. */
export function pictureSource(source: string, { root, repository, page }: Place): string {
  if (isElsewhere(source)) return source;
  const file = posix.join(posix.dirname(page), source);
  if (statSync(join(root, file), { throwIfNoEntry: false })?.isFile())
    return source.startsWith('.') ? source : `./${source}`;
  return new URL(source, `${repository}/blob/main/${page}`).href;
}

const isElsewhere = (target: string): boolean => /^([a-z][a-z+.-]*:|\/\/|#)/i.test(target);

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
