import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, deflate, gunzip, gzip } from 'node:zlib';
import { chooseCoding } from './accept.ts';
import type { RequestContext } from './request-context.ts';
import { DEFAULT_FIELDS } from './response-fields.ts';

type Coding = 'br' | 'gzip' | 'deflate' | 'identity';

/** A response that is the same for all clients until its content changes. It stays in memory; each coding is produced once. */
export interface CachedResponse {
  /** The media type. */
  readonly type: string;
  /** Identifies the content; all codings of the content share it. */
  readonly hash: string;
  /** The content in this coding; without any coding, if the response does not have this one. */
  read(coding: Coding): Promise<Buffer>;
}

const PACK = { gzip: promisify(gzip), deflate: promisify(deflate) };
const unpack = promisify(gunzip);

/**
 * Caches a text, which is compressed when a client first accepts it. Brotli takes too long for that, and is left out.
 * @param level zlib's compression level; the default suits a text that is requested many times.
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

/** Caches a content that is compressed already. For the few clients that accept neither gzip nor Brotli it is inflated once. */
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
 * Sends 200 in a coding that the client accepts, or 304 when the client has the content. Clients have to revalidate each time:
 * during a roll-out, instances of two versions respond, and a file must not be older than the page that uses it.
 * @param codings the codings to choose from, in order of preference.
 * @param policy the Content Security Policy of a page. Default: nothing may be loaded or framed.
 */
export async function sendCached(
  { req, res, id, caller, fields = DEFAULT_FIELDS }: RequestContext,
  response: CachedResponse,
  codings: readonly Coding[],
  policy = "default-src 'none'; frame-ancestors 'none'",
): Promise<void> {
  const coding = chooseCoding<Coding>(req.headers['accept-encoding'], codings);
  // RFC 9110, 8.8.3.3: a strong tag identifies the content in one coding.
  const tag = `"${response.hash}-${coding}"`;
  const head = ['ETag', tag, 'Cache-Control', 'no-cache', 'Vary', 'Accept-Encoding', 'X-Request-Id', id];
  head.push('Content-Security-Policy', policy, ...fields.page);
  if (caller?.quota !== undefined) head.push(...caller.quota.fields());
  if (hasTag(req.headers['if-none-match'], tag)) {
    res.writeHead(304, head);
    res.end();
    return;
  }
  const body = await response.read(coding);
  if (coding !== 'identity') head.push('Content-Encoding', coding);
  head.push('Content-Type', response.type, 'Content-Length', String(body.length));
  if (res.headersSent) return;
  res.writeHead(200, head);
  res.end(body);
}

/** RFC 9110, 13.1.2: tags are compared weakly. */
function hasTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((part) => part.trim().replace(/^W\//, '') === tag || part.trim() === '*');
}
