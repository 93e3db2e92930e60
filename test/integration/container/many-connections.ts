import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { buildIfNeeded } from '../../../scripts/build-if-needed.ts';
import { HOST_ARGUMENTS, type ListeningServer, listening, spawnServer } from '../../../scripts/server-process.ts';
import { call, metric, predict } from '../../helpers/calls.ts';
import { freePort, IRIS, useHost } from '../../helpers/hosts.ts';
import { holdRequest, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const ROW = '{"features":[5.1,3.5,1.4,0.2]}';
const SLOW = 500;
const DESCRIPTORS = 128;

/** Connections that are open at the same time, and send what `first` says. */
async function open(port: number, count: number, first = ''): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => createConnection(port, '127.0.0.1').on('error', () => {}));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) if (first !== '') socket.write(first);
  return sockets;
}

/** Clients that open many connections and use them little. */
export function manyConnections(): void {
  describe('many slow connections', { concurrency: 1 }, () => {
    const host = useHost('container', () => ({ INFERENCE_PROCESSES: '1' }));

    for (const [what, first] of [
      ['heads', 'GET /health HTTP/1.1\r\nX-Slow: '],
      ['bodies', postText('/predict', '', { 'content-length': '100000' })],
      [
        'streams',
        postText('/batch_predict', '', { 'content-type': 'application/x-ndjson', 'content-length': '100000' }),
      ],
    ] as const) {
      test(`${SLOW} connections that send their ${what} byte by byte keep nobody else waiting, and take little memory`, async () => {
        const before = await metric(host(), 'process_resident_memory_bytes');
        const sockets = await open(host().port, SLOW, first);
        for (let round = 0; round < 5; round++) {
          for (const socket of sockets) socket.write('1');
          const answers = await Promise.all(Array.from({ length: 20 }, () => predict(host(), [5.1, 3.5, 1.4, 0.2])));
          assert.ok(answers.every(({ status }) => status === 200));
        }
        assert.ok(
          sockets.every(({ destroyed }) => !destroyed),
          'they are within their time',
        );
        const grown = (await metric(host(), 'process_resident_memory_bytes')) - before;
        assert.ok(grown < 30 * 2 ** 20, `the server grew by ${grown} bytes`);
        for (const socket of sockets) socket.destroy();
      });
    }
  });

  describe('a server with few file descriptors', { concurrency: 1 }, () => {
    let server: ListeningServer;
    before(async () => {
      buildIfNeeded('ctimeMs');
      const port = await freePort();
      const limited = `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`;
      const env = { NODE_ENV: 'production', MODEL_URI: IRIS, INFERENCE_PROCESSES: '1', PORT: String(port) };
      const command = ['/bin/sh', '-c', limited, process.execPath, ...HOST_ARGUMENTS.container] as const;
      const isReady = async (): Promise<number | undefined> => {
        const response = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
        await response?.arrayBuffer();
        return response?.ok ? port : undefined;
      };
      server = await listening(spawnServer({ command, env }), isReady);
    });
    after(() => server.stop('SIGKILL'));

    test('more connections than that neither cut off a request in flight nor stop new ones, and the log says so once', async () => {
      const release = await holdRequest(server, '/predict', ROW);
      const sockets: Socket[] = [];
      for (let i = 0; i < 4; i++) {
        sockets.push(...(await open(server.port, DESCRIPTORS)));
        assert.equal((await predict(server, [5.1, 3.5, 1.4, 0.2])).status, 200);
      }
      const closed = await metric(server, 'http_connections_closed_total', { reason: 'too_many_connections' });
      assert.ok(closed >= 3 * DESCRIPTORS, `${closed} connections were closed`);
      assert.equal((await release()).status, 200);
      for (const socket of sockets) socket.destroy();
      await until(async () => (await call(server, '/ready')).status === 200, 'a response');
      const lines = () => server.lines.filter((line) => line.includes('connections are open, the limit'));
      await until(() => lines().length > 0, 'the line');
      assert.equal(lines().length, 1);
    });
  });
}
