import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { createFlights } from '../../../../functions/model/sources/gcs/request-guard.ts';
import { serve } from '../../../helpers/serve.ts';
import { rejectsWith } from '../contract.ts';
import { NEVER } from '../gcs-kit.ts';

test('bytes that wait in the socket after a pause of the whole process are no stall', async (t) => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [peer] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    client.destroy();
    server.close();
  });
  const flights = createFlights(30, () => '');
  t.after(() => flights.close());
  const flown = flights.fly('place', NEVER, async (flight) => {
    const came = once(client, 'data').then(flight.alive);
    setImmediate(() => {
      peer.write('x');
      const end = performance.now() + 90;
      while (performance.now() < end);
    });
    await came;
    return 'came';
  });
  assert.equal(await flown, 'came');
});

test('cuts a request that is made only after it was given up, and none for another host', async (t) => {
  const service = await serve(t, (_req, res) => void res.end('object'));
  const other = await serve(t, (_req, res) => void res.end('token'));
  const flights = createFlights(20, () => `127.0.0.1:${service.port}`);
  t.after(() => flights.close());
  const { promise: late, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: done, resolve: end } = Promise.withResolvers<[string | undefined, number | undefined]>();
  const flown = flights.fly('place', NEVER, async () => {
    await late;
    const failed = once(get(service.url), 'response').then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    const [answer] = await once(get(other.url), 'response');
    answer.resume();
    end([await failed, answer.statusCode]);
  });
  await rejectsWith(flown, 'transient', /^place: no byte for 0\.02 s$/);
  goOn();
  assert.deepEqual(await done, ['ECONNRESET', 200]);
});
