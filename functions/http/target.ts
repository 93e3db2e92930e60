/** The target of a request, from its first line. */
interface Target {
  /** Starts with a slash, unless the client sent no path; still percent-encoded, except for colons. */
  readonly path: string;
  /** What follows the `?`. */
  readonly query: string;
}

/** RFC 9112, 3.2.2: a server has to accept the absolute form as well. Its host is ignored. */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Splits a request target into path and query. Some clients percent-encode the colon of paths such as `/v1/models/iris:predict`,
 * which RFC 3986, 3.3, allows: it is decoded.
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
