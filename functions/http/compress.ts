import { constants, createDeflate, createGzip } from 'node:zlib';
import { chooseCoding } from './accept.ts';

/** Codings in which responses are compressed. `deflate` is zlib's format (RFC 9110, 8.4.1.2). */
export type Coding = 'gzip' | 'deflate';

/**
 * Responses of at least so many bytes are compressed. A smaller one takes two packets at most, and compressing it some 60 µs of
 * CPU time, half of what serving a small request takes.
 */
export const COMPRESS_FROM = 2048;

/** On predictions the default, level 6, saves 3 % more bytes and takes two to three times as long. */
const OPTIONS = { level: constants.Z_BEST_SPEED, chunkSize: 65_536 };

/** The coding of a response to a request with this `Accept-Encoding` header; undefined: the response is not compressed. */
export function codingFor(header: string | undefined): Coding | undefined {
  const coding = chooseCoding<Coding>(header, ['gzip', 'deflate']);
  return coding === 'identity' ? undefined : coding;
}

/**
 * Compresses a body in zlib's threads, outside of the event loop.
 * @param pieces the parts of the body, in order.
 * @param isCancelled called after each piece of output: when it returns true, compression ends, and the output so far is returned.
 */
export function compress(pieces: readonly Uint8Array[], coding: Coding, isCancelled: () => boolean): Promise<Buffer> {
  const stream = coding === 'gzip' ? createGzip(OPTIONS) : createDeflate(OPTIONS);
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      if (isCancelled()) stream.destroy();
    });
    stream.once('close', () => resolve(Buffer.concat(parts)));
    stream.once('error', reject);
    for (const piece of pieces) stream.write(piece);
    stream.end();
  });
}
