/**
 * `dist/server.js`: runs the bundle of `server.ts`, `server.cjs`, with what V8 compiled of it when it was built. V8 ignores that if its
 * version or its flags are others, and compiles the bundle as usual.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';

const filename = join(import.meta.dirname, 'server.cjs');

function readCache(): Buffer | undefined {
  try {
    return readFileSync(join(import.meta.dirname, 'server.cache'));
  } catch {
    return undefined;
  }
}

// Latin-1: V8 reads a text of one byte for each character faster, and the bundle has other characters in comments alone.
const script = new Script(`(function (require, __filename) {${readFileSync(filename, 'latin1')}\n})`, {
  filename,
  cachedData: readCache(),
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
script.runInThisContext()(createRequire(filename), filename);
