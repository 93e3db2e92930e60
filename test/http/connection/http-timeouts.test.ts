import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createHttpServer } from '../../../functions/http/connection/http-server.ts';
import { connect } from '../../helpers/raw-http.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

function setUp(t: TestContext) {
  const { logger, metrics } = recordTelemetry();
  const limits = { maxBodyBytes: 100, maxConnections: 10 };
  const http = createHttpServer({ handler: (_, res) => void res.end(), ...limits, logger, metrics });
  t.after(() => {
    http.close();
    metrics.close();
  });
  return http.server;
}

test("headers have 10 s, a body has the time that its route gives it, and a connection is kept for longer than a load balancer's 600 s", (t) => {
  const { headersTimeout, requestTimeout, keepAliveTimeout } = setUp(t);
  assert.deepEqual([headersTimeout, requestTimeout], [10_000, 0]);
  assert.ok(keepAliveTimeout > 600_000);
});

test('a client that does not send its headers in time gets 408 in the error shape, and is disconnected', async (t) => {
  const server = setUp(t);
  server.headersTimeout = 1;
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const connection = connect(server.address() as AddressInfo);
  connection.send('GET /health HTTP/1.1\r\nHost: slow\r\n');
  const { status, headers, body } = await connection.answer();
  assert.deepEqual([status, headers.connection, JSON.parse(body).code], [408, 'close', 'REQUEST_TIMEOUT']);
  await connection.closed;
});
