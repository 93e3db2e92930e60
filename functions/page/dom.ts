type Child = Node | string;
type Props = Readonly<Record<string, string | boolean | undefined>>;

/** Creates an element with attributes and children. Text is never parsed as markup, as it may come from a model or a file. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === true) element.setAttribute(name, '');
    else if (typeof value === 'string') element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A name that may be broken after its separators. */
export const breakable = (name: string): Child[] =>
  name.split(/(?<=[_./:-])/).flatMap((part, i) => (i === 0 ? [part] : [el('wbr'), part]));

/** The element of the page with this id, which must exist. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** The address of a route, also if the server is behind a path. @param path without a slash at its start. */
export const urlOf = (path: string): string => new URL(path, document.baseURI).href;

/** Copies a text. Without TLS a page has no access to the clipboard: the result is false then. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
