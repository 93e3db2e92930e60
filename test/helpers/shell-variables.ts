/** What sets a variable, or uses one: an assignment, `for NAME in`, `read NAME`; `$NAME`, `${NAME…}`. */
const TOKEN =
  /(?<=^|[\s;(&|])([A-Za-z_]\w*)=|\bfor ([A-Za-z_]\w*) in\b|\bread (?:-\w+ )*([A-Za-z_]\w*)|(?<!\\)\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*))/gm;
/** Those of every shell. */
const GIVEN = ['HOME', 'PATH', 'PWD', 'USER'];

/** The variables that a shell text uses before it sets them, in order. What is in single quotes is no variable. */
export function findUnset(text: string): string[] {
  const plain = text.replaceAll(/(^|\s)#.*$/gm, '$1').replaceAll(/'[^']*'/g, (quoted) => quoted.replaceAll('$', ' '));
  const set = new Set(GIVEN);
  const unset = new Set<string>();
  for (const [, assigned, looped, read, used, braced] of plain.matchAll(TOKEN)) {
    const name = assigned ?? looped ?? read;
    const use = used ?? braced;
    if (name !== undefined) set.add(name);
    else if (!set.has(use!)) unset.add(use!);
  }
  return [...unset];
}
