import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, deflate, gunzip, gzip } from 'node:zlib';
import { chooseCoding } from './accept.ts';
import type { RequestContext } from './request-context.ts';

type Coding = 'br' | 'gzip' | 'deflate' | 'identity';

/** An answer that is the same for everybody until its content changes: held in memory, each coding made once. */
export interface CachedResponse {
  readonly type: string;
  /** Tells one content from another; the codings of one content have it in common. */
  readonly hash: string;
  read(coding: Coding): Promise<Buffer>;
}

const PACK = { gzip: promisify(gzip), deflate: promisify(deflate) };
const unpack = promisify(gunzip);

/**
 * An answer made here: brotli is for what was compressed ahead, as it takes long.
 * @param level of zlib; the default is for what is asked for many times.
 */
export function cacheText(type: string, text: string, level: number = constants.Z_DEFAULT_COMPRESSION): CachedResponse {
  const plain = Buffer.from(text);
  const packed: { gzip?: Promise<Buffer>; deflate?: Promise<Buffer> } = {};
  return {
    type,
    hash: hashOf(plain),
    async read(coding) {
      if (coding !== 'gzip' && coding !== 'deflate') return plain;
      packed[coding] ??= PACK[coding](plain, { level });
      return packed[coding];
    },
  };
}

/** An answer compressed ahead. Few clients take neither coding: for those it is inflated, and kept. */
export function cachePacked(type: string, gzipped: Buffer, brotli: Buffer): CachedResponse {
  let plain: Promise<Buffer> | undefined;
  return {
    type,
    hash: hashOf(gzipped),
    async read(coding) {
      if (coding === 'br') return brotli;
      if (coding === 'gzip') return gzipped;
      plain ??= unpack(gzipped);
      return plain;
    },
  };
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64url').slice(0, 22);

/**
 * Answers 200 in a coding that the client takes, or 304 where it has the content. Each use is asked for again: during a
 * roll-out, instances of two versions answer, and a file must not be older than the page that wants it.
 * @param codings what there is, the best first.
 * @param headers further ones, name and value in turn.
 */
export async function sendCached(
  { req, res, id }: RequestContext,
  answer: CachedResponse,
  codings: readonly Coding[],
  headers: readonly string[] = [],
): Promise<void> {
  const coding = chooseCoding<Coding>(req.headers['accept-encoding'], codings);
  // RFC 9110, 8.8.3.3: a strong tag is of one coding.
  const tag = `"${answer.hash}-${coding}"`;
  const head = ['ETag', tag, 'Cache-Control', 'no-cache', 'Vary', 'Accept-Encoding', 'X-Request-Id', id, ...headers];
  if (hasTag(req.headers['if-none-match'], tag)) {
    res.writeHead(304, head);
    res.end();
    return;
  }
  const body = await answer.read(coding);
  if (coding !== 'identity') head.push('Content-Encoding', coding);
  head.push('Content-Type', answer.type, 'Content-Length', String(body.length));
  if (res.headersSent) return;
  res.writeHead(200, head);
  res.end(body);
}

/** RFC 9110, 13.1.2: tags are compared weakly. */
function hasTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((part) => part.trim().replace(/^W\//, '') === tag || part.trim() === '*');
}
