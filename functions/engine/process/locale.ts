import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The default locale of scikit-learn's text vectorizers, with which onnxruntime's StringNormalizer changes the case of letters. */
const WANTED = /locale with name:(en_US(?:\.UTF-8)?):/;
/**
 * The locale that small systems have instead, for example Debian's slim images. The StringNormalizer uses LC_CTYPE alone, and
 * that of C.UTF-8 is the same file, byte for byte, as that of en_US.UTF-8 (glibc: both are i18n_ctype).
 */
const SUBSTITUTES = ['/usr/lib/locale/C.utf8', '/usr/lib/locale/C.UTF-8'];
/**
 * Where the folder of the locale may be: `locale-` and six characters. The second place is writable in a container with a read-only
 * root and no volume for the first.
 */
export const localeFolders = (): string[] => [tmpdir(), '/dev/shm'].map((parent) => join(parent, 'locale-'));

/**
 * Loads a model. If that fails because the system lacks the locale en_US.UTF-8, loads it once more with C.UTF-8 in its place. Only
 * for an engine process, which does one thing at a time: LOCPATH is changed during the second load.
 * @throws the error of `load`
 */
export async function withLocale<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const name = WANTED.exec(String(error))?.[1];
    const folder = name && makeLocale(name);
    if (folder === undefined) throw error;
    const { LOCPATH } = process.env;
    // glibc reads LOCPATH whenever a program creates a locale.
    process.env.LOCPATH = LOCPATH ? `${folder}:${LOCPATH}` : folder;
    try {
      return await load();
    } finally {
      if (LOCPATH === undefined) delete process.env.LOCPATH;
      else process.env.LOCPATH = LOCPATH;
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** A folder for LOCPATH; undefined if the system has no C.UTF-8, or no folder can be made. */
function makeLocale(name: string): string | undefined {
  const locale = SUBSTITUTES.find((folder) => existsSync(folder));
  if (locale === undefined) return undefined;
  for (const prefix of localeFolders()) {
    try {
      const folder = mkdtempSync(prefix);
      // A copy, of 400 kB: with its permissions an engine process cannot make a link.
      cpSync(locale, join(folder, name), { recursive: true });
      return folder;
    } catch {
      // Read-only, full or missing: try the next folder.
    }
  }
  return undefined;
}
