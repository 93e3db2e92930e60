/**
 * `dist/server.js`: runs the bundle of `server.ts`, `server.cjs`, with what V8 compiled of it when it was built, `server.cache`. V8
 * ignores that if its version or its flags are others, and compiles the bundle as usual. It does not notice another bundle of the same
 * length, and ends the process for damaged bytes: so the file ends with the CRC-32 of the bundle and of what is before it.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';
import { crc32 } from 'node:zlib';

const filename = join(import.meta.dirname, 'server.cjs');

const CRC_BYTES = 4;
const source = readFileSync(filename);

function readCache(): Buffer | undefined {
  try {
    const file = readFileSync(join(import.meta.dirname, 'server.cache'));
    const cache = file.subarray(0, -CRC_BYTES);
    return file.readUInt32LE(cache.length) === crc32(cache, crc32(source)) ? cache : undefined;
  } catch {
    return undefined;
  }
}

// Latin-1: V8 reads a text of one byte for each character faster, and the bundle has other characters in comments alone.
const script = new Script(`(function (require, __filename) {${source.toString('latin1')}\n})`, {
  filename,
  cachedData: readCache(),
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
script.runInThisContext()(createRequire(filename), filename);
