import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** Folders that hold no pages of the project. */
const OTHERS = ['node_modules', 'dist', 'coverage', 'tmp', 'shared'];

/** Its README is of another project: test/cli/init.test.ts checks it. */
const TEMPLATE = 'functions/cli/init/template';

/** Paths of all Markdown files of the project, from its root. */
export const PAGES: readonly string[] = globSync('**/*.md', {
  cwd: ROOT,
  exclude: (path) =>
    OTHERS.includes(path.split(/[/\\]/)[0]!) ||
    path.endsWith('node_modules') ||
    path.replaceAll('\\', '/') === TEMPLATE,
})
  .map((path) => path.replaceAll('\\', '/'))
  .sort();

/** README and the pages of docs/. */
export const DOCUMENTATION: readonly string[] = PAGES.filter(
  (path) => path === 'README.md' || path.startsWith('docs/'),
);

/** The text of a page, by its path from the project's root. */
export const readPage = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** A fenced block: its language and its text, without the fences. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

/**
 * The text below a heading of a page, up to the next heading of the same or a higher level.
 * @param title the heading without its `#`.
 * @throws Error if the page has no such heading.
 */
export function section(path: string, title: string): string {
  const lines = withoutBlocks(readPage(path)).split('\n');
  const from = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === title);
  if (from === -1) throw new Error(`${path} has no heading "${title}"`);
  const level = lines[from]!.indexOf(' ');
  const length = lines.slice(from + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level);
  const own = readPage(path).split('\n');
  return own.slice(from + 1, length === -1 ? undefined : from + 1 + length).join('\n');
}

/** The fenced blocks of a text, in order. */
export function blocks(text: string): Block[] {
  return Array.from(text.matchAll(/^```(\w*)\n(.*?)^```$/gms), ([, language, inner]) => ({
    language: language!,
    text: inner!,
  }));
}

/** The same lines, those of fenced blocks empty: a `#` in a shell block is not a heading, and a link in it is not a link. */
export function withoutBlocks(text: string): string {
  return text.replace(/^```.*?^```$/gms, (block) => block.replace(/[^\n]/g, ''));
}

/** The cells of the table whose first column is headed `head`, row by row, without the head. */
export function table(text: string, head: string): string[][] {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.startsWith('|') && cells(line)[0] === head);
  if (from === -1) throw new Error(`there is no table that begins with "${head}"`);
  const length = lines.slice(from).findIndex((line) => !line.startsWith('|'));
  return lines.slice(from + 2, length === -1 ? undefined : from + length).map(cells);
}

function cells(row: string): string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** A relative link of a page: the file that it names, from the project's root, and the anchor in it. */
export interface Link {
  readonly target: string;
  readonly path: string;
  readonly anchor: string | undefined;
}

/** The relative links of a page, in order. */
export function linksOf(path: string): Link[] {
  const text = withoutBlocks(readPage(path));
  return Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file, anchor] = target.split('#') as [string, string?];
      return { target, path: file === '' ? path : join(path, '..', file).replaceAll('\\', '/'), anchor };
    });
}

/** The anchors that GitHub gives to the headings of a page: of equal headings the second has -1 at its end. */
export function anchorsOf(path: string): string[] {
  const seen = new Map<string, number>();
  return Array.from(withoutBlocks(readPage(path)).matchAll(/^#+ (.+)$/gm), ([, heading]) => {
    const name = heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    return times === 0 ? name : `${name}-${times}`;
  });
}
