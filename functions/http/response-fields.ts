import type { IncomingMessage, ServerResponse } from 'node:http';

/** Header fields that a server adds to each response, name and value in turn. */
export interface ResponseFields {
  /** Of responses with data, errors included: not to be stored, and nothing in them may be loaded or framed. */
  readonly data: readonly string[];
  /** Of pages and other cached responses, which have a policy of their own. */
  readonly page: readonly string[];
}

/** A year: browsers use HTTPS alone for this host then (RFC 6797). */
const STRICT_TRANSPORT = ['Strict-Transport-Security', 'max-age=31536000'];

function createFields(more: readonly string[]): ResponseFields {
  const all = [
    ...['X-Content-Type-Options', 'nosniff'],
    // For pages of other origins that embed a response. Requests of scripts are subject to CORS instead.
    ...['Cross-Origin-Resource-Policy', 'same-origin'],
    ...more,
  ];
  // Each field of a small response takes 0.1 µs, a quarter of a percent of its request: data have no links, and need no referrer.
  const data = ['Cache-Control', 'no-store', 'Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"];
  return { data: [...data, ...all], page: ['Referrer-Policy', 'no-referrer', ...all] };
}

/** Of a response that no router sends: without CORS. */
export const DEFAULT_FIELDS: ResponseFields = createFields([]);

/** The fields of each response, and the responses to preflight requests of browsers. */
export interface FieldsOfResponses {
  /** The fields of the response to this request. */
  of(req: IncomingMessage): ResponseFields;
  /** Responds to a preflight request of an allowed origin (Fetch, 3.3.5). @returns whether it did. */
  preflight(req: IncomingMessage, res: ServerResponse, id: string): boolean;
}

/** Fields that scripts of other origins may read, beside those that they always may (Fetch, 2.2.2). */
const EXPOSED = [
  ...['X-Request-Id', 'Retry-After', 'Allow', 'WWW-Authenticate', 'ETag', 'Inference-Header-Content-Length'],
  ...['RateLimit', 'RateLimit-Policy', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
].join(', ');
const PREFLIGHT = [
  ...['Access-Control-Allow-Methods', 'GET, HEAD, POST'],
  // The wildcard does not include Authorization (Fetch, 4.9).
  ...['Access-Control-Allow-Headers', '*, Authorization'],
  // The most that Chromium keeps.
  ...['Access-Control-Max-Age', '7200'],
];

/**
 * Prepares the fields of all responses. Credentials of browsers, such as cookies, are never allowed: callers send a token.
 * @param origins those whose scripts may read responses, as browsers send them; `*` alone for all; empty for none.
 * @param strictTransport whether browsers are to use HTTPS alone.
 */
export function createResponseFields(origins: readonly string[], strictTransport: boolean): FieldsOfResponses {
  const always = strictTransport ? STRICT_TRANSPORT : [];
  const all = origins.length === 1 && origins[0] === '*';
  // A cache must not give one origin the response to another.
  const varying = origins.length === 0 || all ? always : [...always, 'Vary', 'Origin'];
  const others = createFields(varying);
  const allow = (origin: string): ResponseFields =>
    createFields([...varying, 'Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', EXPOSED]);
  const everyone = all ? allow('*') : undefined;
  const byOrigin = new Map(origins.map((origin) => [origin, allow(origin)]));

  function allowed({ headers: { origin } }: IncomingMessage): ResponseFields | undefined {
    return origin === undefined ? undefined : (everyone ?? byOrigin.get(origin));
  }

  return {
    of: origins.length === 0 ? () => others : (req) => everyone ?? allowed(req) ?? others,
    preflight(req, res, id) {
      if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) return false;
      const fields = allowed(req);
      if (fields === undefined) return false;
      res.writeHead(204, [...fields.page, ...PREFLIGHT, 'X-Request-Id', id]);
      res.end();
      return true;
    },
  };
}
