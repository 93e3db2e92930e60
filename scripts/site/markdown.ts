import { linkTarget, type Place, pictureSource } from './links.ts';

/** A token of markdown-it. */
interface Token {
  readonly type: string;
  content: string;
  readonly children: readonly Token[] | null;
  attrGet(name: string): string | null;
  attrSet(name: string, value: string): void;
}

/** What is used of markdown-it. */
interface Markdown {
  readonly core: {
    readonly ruler: {
      push(
        name: string,
        rule: (state: { readonly tokens: readonly Token[]; readonly env: PageEnvironment }) => void,
      ): void;
    };
  };
}

/** What VitePress says about the page that is rendered. */
interface PageEnvironment {
  /** The absolute path of the page in the site. */
  readonly path: string;
  /** The absolute path of the page's file, where the site has the page at another path. */
  readonly realPath?: string;
}

/** Has the links and pictures of every page lead to where they are for a reader of the site. */
export function rewriteLinks(markdown: Markdown, root: string, repository: string): void {
  markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
    const page = (env.realPath ?? env.path).slice(root.length + 1).replaceAll('\\', '/');
    for (const token of tokens) rewrite(token, { root, repository, page });
  });
}

function rewrite(token: Token, place: Place): void {
  if (token.type === 'link_open') setAttribute(token, 'href', (target) => linkTarget(target, place));
  if (token.type === 'image') setAttribute(token, 'src', (source) => pictureSource(source, place));
  if (token.type === 'html_block' || token.type === 'html_inline') {
    token.content = token.content
      .replace(/(\shref=")([^"]+)/g, (_, name, target) => name + linkTarget(target, place))
      .replace(/(\s(?:src|srcset)=")([^"\s]+)/g, (_, name, source) => name + pictureSource(source, place));
  }
  for (const child of token.children ?? []) rewrite(child, place);
}

function setAttribute(token: Token, name: string, change: (value: string) => string): void {
  const value = token.attrGet(name);
  if (value !== null) token.attrSet(name, change(value));
}
