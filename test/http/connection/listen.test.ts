import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { listen } from '../../../functions/http/connection/listen.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

test('a port that is in use fails the start, with the reason', async (t) => {
  const { logger } = recordTelemetry();
  const other = createServer().listen(0);
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { promise, resolve } = Promise.withResolvers<string>();
  listen(createServer(), { name: 'PORT', port, host: '*', logger, fail: resolve });
  assert.equal(await promise, `PORT=${port} is in use: set another port`);
});

test('an error of a listening server is logged, and the server continues', async (t) => {
  const { logger, lines } = recordTelemetry();
  const server = createServer();
  t.after(() => server.close());
  listen(server, { name: 'PORT', port: 0, host: '127.0.0.1', logger, fail: () => assert.fail('the start failed') });
  await once(server, 'listening');
  server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['info', 'error'],
  );
  assert.equal(server.listening, true);
});

test('a server listens on the address alone that it is given, and says where', async (t) => {
  for (const [host, family, said] of [
    ['127.0.0.1', /^127\.0\.0\.1$/, /, on 127\.0\.0\.1 alone$/],
    ['localhost', /^(127\.0\.0\.1|::1)$/, /, on localhost alone$/],
    ['*', /^(::|0\.0\.0\.0)$/, /, on all addresses$/],
  ] as const) {
    const { logger, lines } = recordTelemetry();
    const server = createServer();
    t.after(() => server.close());
    listen(server, { name: 'ADMIN_PORT', port: 0, host, logger, fail: () => assert.fail('the start failed') });
    await once(server, 'listening');
    assert.match((server.address() as AddressInfo).address, family);
    assert.match(lines[0]!.message, said);
    assert.match(lines[0]!.message, /for \/metrics and administration/);
  }
});

test('an address that the machine does not have fails the start, with a reason that names it', async () => {
  const { logger } = recordTelemetry();
  const { promise, resolve } = Promise.withResolvers<string>();
  // RFC 5737: no machine has an address of this range.
  listen(createServer(), { name: 'PORT', port: 0, host: '192.0.2.1', logger, fail: resolve });
  assert.equal(await promise, '192.0.2.1 is no address of this machine: set HOST=* for all');
});
