/** Where a request goes, from its first line. */
export interface Target {
  /** Starts with a slash, unless the client sent something else than a path; still percent-encoded, but for colons. */
  readonly path: string;
  /** What follows the `?`. */
  readonly query: string;
}

/** RFC 9112, 3.2.2: a server takes the absolute form as well, whatever host it names. */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Splits a request target. A colon may be percent-encoded in a path (RFC 3986, 3.3), and some clients do so where our paths
 * have one, as in `/v1/models/iris:predict`.
 */
export function readTarget(url: string): Target {
  const target = url.startsWith('/') ? url : withoutOrigin(url);
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  return {
    path: path.includes('%3') ? path.replace(/%3a/gi, ':') : path,
    query: mark === -1 ? '' : target.slice(mark + 1),
  };
}

function withoutOrigin(url: string): string {
  const origin = ORIGIN.exec(url)?.[0];
  if (origin === undefined) return url;
  const rest = url.slice(origin.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
