import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { type CachedResponse, cachePacked } from '../../http/cached-response.ts';

/** Reads a file of the pages by its path below `dist/`; `type` is its media type. */
type ReadAsset = (path: string, type: string) => Promise<CachedResponse>;

/** `scripts/browser-assets.ts`, which builds the pages from their sources. */
interface Builder {
  buildAssets(): Promise<ReadonlyMap<string, Uint8Array>>;
}

const source = import.meta.url.endsWith('.ts');

/**
 * Creates a reader of the pages' files. A file is read at its first request and kept in memory, so that no start waits for it. The
 * build has compressed the files; a server that runs from the sources builds and compresses them at the first request.
 */
export function createAssetReader(): ReadAsset {
  const responses = new Map<string, Promise<CachedResponse>>();
  const load = source ? createSourceLoader() : readPacked;
  return (path, type) => {
    const known = responses.get(path);
    if (known !== undefined) return known;
    const response = load(path, type);
    responses.set(path, response);
    // After a failure, the next request tries again.
    response.catch(() => responses.delete(path));
    return response;
  };
}

async function readPacked(path: string, type: string): Promise<CachedResponse> {
  const read = (ending: string): Promise<Buffer> => readFile(new URL(`./${path}${ending}`, import.meta.url));
  const [gzipped, brotli] = await Promise.all([read('.gz'), read('.br')]);
  return cachePacked(type, gzipped, brotli);
}

const deflate = promisify(gzip);
const shrink = promisify(brotliCompress);

function createSourceLoader(): ReadAsset {
  let built: ReturnType<Builder['buildAssets']> | undefined;
  return async (path, type) => {
    built ??= import(new URL('../../../scripts/browser-assets.ts', import.meta.url).href).then((builder: Builder) =>
      builder.buildAssets(),
    );
    // A build that failed is tried again by the next request.
    built.catch(() => {
      built = undefined;
    });
    const bytes = (await built).get(path);
    if (bytes === undefined) throw new Error(`the pages have no ${path}`);
    const quick = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
    const [gzipped, brotli] = await Promise.all([deflate(bytes), shrink(bytes, quick)]);
    return cachePacked(type, gzipped, brotli);
  };
}
