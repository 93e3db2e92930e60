import type { IncomingMessage } from 'node:http';
import { type Entry, SourceError } from '../source.ts';
import type { Attempted } from './errors.ts';
import type { ApiRequest, JsonApi } from './json-api.ts';

/** Bytes `start` to `end` of an object. */
interface ObjectRange {
  /** The path of the object below the API's base URL. */
  readonly path: string;
  readonly entry: Entry;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly attempted: Attempted;
}

/**
 * Reads stored bytes of one generation of an object, and passes them to `onChunk` as they arrive, in order.
 * @throws SourceError; the error of `onChunk`
 */
export async function readObject(
  api: JsonApi,
  range: ObjectRange,
  onChunk: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const { path, entry, start, end, attempted } = range;
  const isComplete = start === 0 && end === entry.bytes;
  const request: ApiRequest = {
    attempted,
    path,
    query: { alt: 'media', generation: entry.stamp },
    headers: {
      // Cloud Storage sends the stored bytes of a compressed object only with `Accept-Encoding: gzip`.
      'Accept-Encoding': entry.gzip ? 'gzip' : 'identity',
      'Cache-Control': 'no-store',
      ...(!isComplete && { Range: `bytes=${start}-${end - 1}` }),
    },
  };
  let remaining = end - start;
  await api.get(request, signal, (response) => {
    checkHead(response, range);
    // A response with status 200 has the entire object, even if a range was requested.
    let skip = response.statusCode === 200 ? start : 0;
    return (chunk) => {
      const from = Math.min(skip, chunk.length);
      const part = chunk.subarray(from, from + remaining);
      skip -= from;
      remaining -= part.length;
      if (part.length > 0) onChunk(part);
      return from + part.length === chunk.length;
    };
  });
  if (remaining === 0) return;
  const received = `${end - start - remaining} of ${end - start} bytes`;
  throw new SourceError('transient', `${attempted.place}: ended after ${received}`);
}

/** Checks the headers of a response. @throws SourceError if its bytes are not the requested ones */
function checkHead({ headers, statusCode }: IncomingMessage, { entry, start, attempted }: ObjectRange): void {
  const { place } = attempted;
  const generation = headers['x-goog-generation'];
  if (generation !== undefined && generation !== entry.stamp)
    throw new SourceError('changed', `${place}: generation ${generation} in place of ${entry.stamp}`);
  const stored = headers['x-goog-stored-content-encoding'] ?? (entry.gzip ? 'gzip' : 'identity');
  if ((stored === 'gzip') !== entry.gzip)
    throw new SourceError('changed', `${place}: stored as ${stored} in place of what was listed`);
  const compressed = headers['content-encoding'] === 'gzip';
  if (compressed !== entry.gzip)
    throw new SourceError('transient', `${place}: was ${compressed ? '' : 'de'}compressed on its way`);
  const range = headers['content-range'];
  if (statusCode === 206 && !range?.startsWith(`bytes ${start}-`))
    throw new SourceError(
      'transient',
      `${place}: the response has ${range ?? 'an unknown range'}, not from byte ${start}`,
    );
}
