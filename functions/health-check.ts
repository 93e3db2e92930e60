/** The image's HEALTHCHECK, which needs no shell: exit code 0 when the server responds to `GET /ready` with 200, else 1. */
import { get } from 'node:http';
import { readPort } from './config/settings.ts';

// Other settings are not read: one that has become invalid since the start must not make a running server unhealthy.
const request = get({ host: '127.0.0.1', port: readPort(), path: '/ready', timeout: 4_000 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.on('timeout', () => process.exit(1));
request.on('error', () => process.exit(1));
