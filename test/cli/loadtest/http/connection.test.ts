import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect, type Endpoint } from '../../../../functions/cli/loadtest/http/connection.ts';
import { type FailureKind, failureOf } from '../../../../functions/cli/loadtest/http/failure.ts';
import { get } from '../../../../functions/cli/loadtest/http/get.ts';
import { requestBytes } from '../../../../functions/cli/loadtest/http/request.ts';
import { makeCertificate } from '../../../helpers/certificate.ts';
import { serve } from '../../../helpers/serve.ts';

async function serveTls(t: TestContext): Promise<{ port: number; ca: Buffer }> {
  const { cert, key } = makeCertificate('localhost');
  const server = createServer({ cert, key }, (_, res) => void res.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, ca: Buffer.from(cert) };
}

/** Sends a request, and gives the status, the body, or the kind of the failure. */
function exchange(endpoint: Endpoint): Promise<{ status?: number; body: string; failure?: FailureKind }> {
  return new Promise((resolve) => {
    let body = '';
    const connection = connect(endpoint, {
      onOpen: () => void connection.send(requestBytes('GET', '/')),
      onBody: (bytes, from, to) => {
        body += bytes.toString('utf8', from, to);
      },
      onResponse(status) {
        connection.destroy();
        resolve({ status, body });
      },
      onClose: (error) => resolve({ body, failure: failureOf(error) }),
    });
  });
}

test('over TLS a response is read, if the certificate is trusted', async (t) => {
  const { port, ca } = await serveTls(t);
  const endpoint = { port, host: 'localhost' };
  assert.deepEqual(await exchange({ ...endpoint, tls: { ca } }), { status: 200, body: 'hello' });
  assert.equal((await exchange({ ...endpoint, tls: {} })).failure, 'tls');
  const got = await get({ ...endpoint, tls: { ca } }, { path: '/', headers: {}, timeoutMs: 10_000 });
  assert.deepEqual([got.status, got.body.toString()], [200, 'hello']);
});

test('failures are told apart: refused, reset, closed, not HTTP, no TLS', async (t) => {
  const closing = await serve(t, (req) => void req.socket.end());
  const reset = await serve(t, (req) => void (req.socket as unknown as { resetAndDestroy(): void }).resetAndDestroy());
  const babble = await serve(t, (req) => void req.socket.end('hello\r\n'));
  const kinds = [];
  for (const { port } of [closing, reset, babble]) kinds.push((await exchange({ port })).failure);
  assert.deepEqual(kinds, ['closed', 'reset', 'protocol']);
  assert.equal((await exchange({ port: 1 })).failure, 'refused');
  assert.equal((await exchange({ port: closing.port, tls: {} })).failure, 'tls');
});

test('a description is not read from where a redirect leads', async (t) => {
  const { port } = await serve(t, (_, res) => void res.writeHead(302, { Location: 'http://example.com/' }).end());
  const { status } = await get({ port }, { path: '/', headers: {}, timeoutMs: 10_000 });
  assert.equal(status, 302);
});

test('a description without an end is given up', async (t) => {
  const { port } = await serve(t, (_, res) => void res.write('{'));
  await assert.rejects(get({ port }, { path: '/', headers: {}, timeoutMs: 50 }), { code: 'ETIMEDOUT' });
});
