import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The default locale of scikit-learn's text vectorizers, by which onnxruntime's StringNormalizer changes the case of letters. */
const WANTED = /locale with name:(en_US(?:\.UTF-8)?):/;
/**
 * What small systems have instead, Debian's slim images first of all. Of a locale the StringNormalizer uses LC_CTYPE alone, and
 * that of C.UTF-8 is the same file, byte for byte, as that of en_US.UTF-8 (glibc: both are i18n_ctype).
 */
const AT_HAND = ['/usr/lib/locale/C.utf8', '/usr/lib/locale/C.UTF-8'];
/** The second is writable in a container whose root is not, and that has no volume for the first. */
const folders = (): string[] => [tmpdir(), '/dev/shm'];

/**
 * Loads a model; where the system lacks the locale en_US.UTF-8, once more with that of C.UTF-8 in its place. For an engine
 * process, which does one thing at a time: meanwhile LOCPATH is another one.
 * @throws what `load` throws
 */
export async function withLocale<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const name = WANTED.exec(String(error))?.[1];
    const folder = name && makeLocale(name);
    if (folder === undefined) throw error;
    const { LOCPATH } = process.env;
    // glibc reads it whenever a locale is made.
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

/** A folder for LOCPATH; undefined where the system has no C.UTF-8, or no folder can be made. */
function makeLocale(name: string): string | undefined {
  const locale = AT_HAND.find((folder) => existsSync(folder));
  if (locale === undefined) return undefined;
  for (const parent of folders()) {
    try {
      const folder = mkdtempSync(join(parent, 'locale-'));
      symlinkSync(locale, join(folder, name));
      return folder;
    } catch {
      // Read only, full, or not there: the next one.
    }
  }
  return undefined;
}
