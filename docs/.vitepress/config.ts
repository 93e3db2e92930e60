import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitepress';
import { rewriteLinks } from '../../scripts/site/markdown.ts';
import { anchorOf, isPage, routeOf } from '../../scripts/site/pages.ts';
import { repositoryUrl } from '../../scripts/site/repository.ts';
import { sidebarOf } from '../../scripts/site/sidebar.ts';

const DOCS = join(import.meta.dirname, '..');
const ROOT = join(DOCS, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const project = JSON.parse(read('package.json'));
const repository = repositoryUrl(process.env, project);
const groups = sidebarOf(read('README.md'), read);
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1558b0"/><path d="M4 8h8M8 4v8" stroke="#fff" stroke-width="2"/></svg>`;

/** README and the examples lie outside the folder whose packages they are built with. */
const packagesOfDocs: Plugin = {
  name: 'packages-of-docs',
  enforce: 'pre',
  resolveId(source, importer, options) {
    if (!/^vue(\/|$)/.test(source) || importer === undefined || importer.startsWith(DOCS)) return undefined;
    return this.resolve(source, join(DOCS, 'package.json'), { ...options, skipSelf: true });
  },
};

/** The site of README, docs/ and the examples: `npm run docs`. */
export default defineConfig({
  title: project.name,
  description: project.description,
  lang: 'en',
  // README is the first page, so the sources are those of the repository.
  srcDir: '..',
  srcExclude: readdirSync(ROOT)
    .filter((name) => !['README.md', 'docs', 'examples'].includes(name))
    .flatMap((name) => [name, `${name}/**`]),
  rewrites: (path) => (isPage(path) ? routeOf(path) : path),
  base: `${process.env.SITE_BASE ?? ''}/`,
  head: [['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(ICON)}` }]],
  markdown: {
    anchor: { slugify: anchorOf },
    config: (markdown) => rewriteLinks(markdown, ROOT, repository),
  },
  vite: { plugins: [packagesOfDocs] },
  themeConfig: {
    nav: groups.map(({ text, items }) => ({ text, items: [...items] })),
    sidebar: groups.map(({ text, items }) => ({ text, items: [...items] })),
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: repository }],
    editLink: { pattern: `${repository}/edit/main/:path` },
  },
});
