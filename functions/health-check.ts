/** The image's HEALTHCHECK, which needs no shell: exit code 0 when the server responds to `GET /ready` with 200, else 1. */
import { get } from 'node:http';
import { get as getSecurely } from 'node:https';
import { readProbeAddress } from './config/settings.ts';

/** The loopback address that reaches a server which listens on all addresses. */
const LOOPBACK: Readonly<Record<string, string>> = { '*': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1' };

// Other settings are not read: one that has become invalid since the start must not make a running server unhealthy.
const { host, port, tls } = readProbeAddress();
const options = { host: LOOPBACK[host] ?? host, port, path: '/ready', timeout: 4_000 };
// The certificate names the host by which clients know the server, not this address.
const request = tls ? getSecurely({ ...options, rejectUnauthorized: false }) : get(options);
request.on('response', (response) => process.exit(response.statusCode === 200 ? 0 : 1));
request.on('timeout', () => process.exit(1));
request.on('error', () => process.exit(1));
