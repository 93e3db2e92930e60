import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { listen } from '../../../functions/http/connection/listen.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

test('a port that is in use is logged, and the start fails', async (t) => {
  const { logger, lines } = recordTelemetry();
  const other = createServer().listen(0);
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { promise, resolve } = Promise.withResolvers<void>();
  listen(createServer(), port, logger, resolve);
  await promise;
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['critical', `PORT=${port} is in use: set another port`]],
  );
});

test('an error of a listening server is logged, and the server continues', async (t) => {
  const { logger, lines } = recordTelemetry();
  const server = createServer();
  t.after(() => server.close());
  listen(server, 0, logger, () => assert.fail('the start failed'));
  await once(server, 'listening');
  server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['info', 'error'],
  );
  assert.equal(server.listening, true);
});
