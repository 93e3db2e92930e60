import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get as getPlain, type Server, createServer as servePlain } from 'node:http';
import { get as getSecure, createServer as serveSecure } from 'node:https';
import { type AddressInfo, createServer as listen, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createAgents } from '../../../../functions/model/sources/gcs/agents.ts';

const BYTES = randomBytes(5_000_000);
/** TLS with a key that both know, in place of a certificate. */
const PSK = { ciphers: 'PSK', maxVersion: 'TLSv1.2', checkServerIdentity: () => undefined } as const;
const KEY = { psk: Buffer.alloc(16, 7), identity: 'test' };

function agentsOf(t: TestContext): ReturnType<typeof createAgents> {
  const agents = createAgents({});
  t.after(() => {
    agents.http.destroy();
    agents.https.destroy();
  });
  return agents;
}

for (const secure of [false, true]) {
  test(`bodies arrive as they were sent, ${secure ? 'with' : 'without'} TLS, however late they are received`, async (t) => {
    const server: Server = secure ? serveSecure({ ...PSK, pskCallback: () => KEY.psk }) : servePlain();
    server.on('request', (_req, res) => {
      for (let at = 0; at < BYTES.length; at += 1_000_003) res.write(BYTES.subarray(at, at + 1_000_003));
      res.end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const agents = agentsOf(t);
    const { port } = server.address() as AddressInfo;
    for (const late of [false, true, false]) {
      const address = { port, host: '127.0.0.1' };
      const options = { ...address, ...PSK, pskCallback: () => KEY, agent: agents.https };
      const request = secure ? getSecure(options) : getPlain({ ...address, agent: agents.http });
      const [response] = await once(request, 'response');
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (!late) return;
        response.pause();
        setImmediate(() => response.resume());
      });
      await once(response, 'end');
      assert.ok(Buffer.concat(chunks).equals(BYTES));
    }
  });
}

test('bytes that wait in a socket keep their memory when more arrive', async (t) => {
  const server = listen((socket) => {
    socket.write('one');
    socket.once('data', () => socket.end('two'));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const socket = agentsOf(t).http.createConnection({ port, host: '127.0.0.1' }) as Socket;
  const { promise: both, resolve } = Promise.withResolvers<void>();
  socket.on('readable', () => {
    if (socket.readableLength === 3) socket.write('next');
    if (socket.readableLength === 6) resolve();
  });
  await both;
  assert.equal(String(socket.read()), 'onetwo');
  socket.destroy();
});
