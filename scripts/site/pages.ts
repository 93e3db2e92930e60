const EXAMPLE = /^examples\/([^/]+)\/README\.md$/;

/** Whether a file of the repository is a page of the site: README, all of docs/, and those of the examples. */
export const isPage = (path: string): boolean =>
  path === 'README.md' || (path.startsWith('docs/') && path.endsWith('.md')) || EXAMPLE.test(path);

/** The path of a page in the site: `docs/models/batching.md` is `models/batching.md`, README is `index.md`. */
export function routeOf(path: string): string {
  if (path === 'README.md') return 'index.md';
  return path.replace(EXAMPLE, 'examples/$1.md').replace(/^docs\//, '');
}

/** The anchor of a heading, as GitHub makes it. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');
