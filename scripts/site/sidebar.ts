import { isPage, routeOf } from './pages.ts';

/** Pages under a heading, in the navigation and in the sidebar. */
interface Group {
  readonly text: string;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

/**
 * The groups of README's section "Documentation", in its order: a bold text begins a group, links are its pages. A page is called as
 * its own title says.
 * @param read gives the text of a page
 * @throws Error if README has no such section, or a link comes before the first group
 */
export function sidebarOf(readme: string, read: (path: string) => string): Group[] {
  const section = readme.split(/^## /m).find((text) => text.startsWith('Documentation\n'));
  if (section === undefined) throw new Error('README.md: expected a section "## Documentation" for the navigation');
  const groups: { text: string; items: { text: string; link: string }[] }[] = [];
  for (const [, bold, target] of section.matchAll(/\*\*([^*]+)\*\*|\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)) {
    if (bold !== undefined) groups.push({ text: bold.replace(/:$/, ''), items: [] });
    if (target === undefined || !isPage(target)) continue;
    const [, title = target] = /^# (.+)$/m.exec(read(target)) ?? [];
    const group = groups.at(-1);
    if (group === undefined) throw new Error(`README.md: expected the name of a group, in bold, before ${target}`);
    group.items.push({ text: title, link: `/${routeOf(target)}` });
  }
  return groups.filter(({ items }) => items.length > 0);
}
