import type { Entry } from '../sources/source.ts';

/** The names of a model's code in its folder, of which it may have one. */
export const TRANSFORM_FILES: readonly string[] = ['transform.ts', 'transform.js'];
/** The folder beside it with what it imports and reads. */
const TRANSFORM_FOLDER = 'transform/';

/** The files of a model's code, by path below its folder: itself, and what lies in `transform/`. Empty if it has no code. */
export function transformParts(siblings: ReadonlyMap<string, Entry>): [path: string, entry: Entry][] {
  if (!TRANSFORM_FILES.some((name) => siblings.has(name))) return [];
  return [...siblings].filter(([path]) => TRANSFORM_FILES.includes(path) || path.startsWith(TRANSFORM_FOLDER));
}
