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

/** The element of the page with this id, which must exist. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** The address of a route, also if the server is behind a path. @param path without a slash at its start. */
export const urlOf = (path: string): string => new URL(path, document.baseURI).href;

/** A number with separators between thousands. */
export const count = (number: number): string => number.toLocaleString('en');

/** A number of bytes with its unit, in powers of 1000. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  let size = bytes;
  let unit = 0;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit === 0 ? count(size) : size.toFixed(1)} ${units[unit]}`;
}

/** The first `length` characters of a text, with an ellipsis if it is longer. */
export const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length)}…` : text;
