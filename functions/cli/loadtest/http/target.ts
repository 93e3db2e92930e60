import { readFileSync } from 'node:fs';
import type { Endpoint } from './connection.ts';

/** The server that a URL names: the only one to which anything is sent. */
export interface Target {
  /** `https://host:port`, without the port if it is the scheme's. */
  readonly origin: string;
  /** Path and query; undefined if the URL has none: then the format says it. */
  readonly path: string | undefined;
  readonly endpoint: Endpoint;
  /** The `Host` field. */
  readonly host: string;
  readonly isLoopback: boolean;
  readonly isSecure: boolean;
}

/**
 * Reads the URL of a server.
 * @param caFile a PEM file with further certificates to trust
 * @returns a sentence that says what is expected, if it is not one
 * @throws the error of the system if `caFile` cannot be read
 */
export function readTarget(text: string, caFile?: string): Target | string {
  const url = URL.parse(text);
  const example = 'expected the URL of a server, such as http://localhost:8080';
  // A URL parser takes the path of http:///path for a host.
  if (url === null || !/^https?:\/\/[^/\\?#]/i.test(text)) return `${text}: ${example}`;
  if (url.username !== '' || url.password !== '')
    return 'the URL has a user name or a password: give a token with --token or --token-file';
  if (url.hash !== '') return `${text}: a request has no part after #`;
  const isSecure = url.protocol === 'https:';
  if (caFile !== undefined && !isSecure) return '--ca is for a URL that begins with https://';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const secure = caFile === undefined ? {} : { ca: readFileSync(caFile) };
  return {
    origin: url.origin,
    path: url.pathname === '/' && url.search === '' ? undefined : `${url.pathname}${url.search}`,
    endpoint: { host, port: Number(url.port) || (isSecure ? 443 : 80), ...(isSecure && { tls: secure }) },
    host: url.host,
    isLoopback: /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host),
    isSecure,
  };
}
