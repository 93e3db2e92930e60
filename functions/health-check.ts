/** The image's HEALTHCHECK, for a container without a shell: exit code 0 when the server beside it answers `GET /ready` with 200, else 1. */
import { get } from 'node:http';
import { readPort } from './config/settings.ts';

// No other setting: one that cannot be used just now must not make a server unhealthy that runs.
const request = get({ host: '127.0.0.1', port: readPort(), path: '/ready', timeout: 4_000 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.on('timeout', () => process.exit(1));
request.on('error', () => process.exit(1));
