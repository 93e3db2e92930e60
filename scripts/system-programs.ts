import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A program of the system that a test runs. */
export interface SystemProgram {
  readonly name: string;
  /** Debian's package of it. */
  readonly debian: string;
  /** The tests, by the names of their files, that can't be run without it. */
  readonly tests: readonly string[];
}

export const SYSTEM_PROGRAMS: readonly SystemProgram[] = [
  { name: 'curl', debian: 'curl', tests: ['quick-start'] },
  { name: 'openssl', debian: 'openssl', tests: ['redis-faults'] },
  { name: 'python3', debian: 'python3', tests: ['python-client'] },
  { name: 'redis-server', debian: 'redis-server', tests: ['bucket', 'redis-cache', 'redis-faults'] },
];

/** Those that are in none of the folders of `path`, a `PATH`. */
export function findMissing(path: string): SystemProgram[] {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return SYSTEM_PROGRAMS.filter(({ name }) => !folders.some((folder) => isProgram(join(folder, name))));
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
