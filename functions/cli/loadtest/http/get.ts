import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Endpoint } from './connection.ts';

/** A response of a request that is not part of the load. */
export interface Got {
  readonly status: number;
  readonly body: Buffer;
}

interface GetOptions {
  readonly path: string;
  /** By name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Longest time for the complete response. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Most bytes of a body: descriptions of models and their examples have fewer. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Sends a GET over a connection of its own. It follows no redirect: what it sends goes to no other host.
 * @throws Error of the system, of TLS, or for a body that is too long or not complete in time
 */
export function get({ host, port, tls }: Endpoint, options: GetOptions): Promise<Got> {
  const { path, headers, timeoutMs, signal } = options;
  const limit = AbortSignal.timeout(timeoutMs);
  const ended = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(limit.aborted ? timeoutError(host, port, timeoutMs) : error);
    const open = tls === undefined ? requestHttp : requestHttps;
    const sent = open({ host, port, path, headers, agent: false, signal: ended, ...tls }, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > MOST_BYTES) sent.destroy(new Error(`${path}: a response of more than ${MOST_BYTES} bytes`));
        else parts.push(part);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      response.on('error', fail);
    });
    sent.on('error', fail);
    sent.end();
  });
}

function timeoutError(host: string | undefined, port: number, timeoutMs: number): Error {
  const said = `no response within ${timeoutMs / 1000} s`;
  return Object.assign(new Error(said), { code: 'ETIMEDOUT', address: host, port });
}
