import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { isAlive } from '../../scripts/process-tree.ts';
import { spawnServer, startServer } from '../../scripts/server-process.ts';
import { until } from '../helpers/until.ts';

const SERVER = `
  process.on('SIGTERM', () => process.exit(3));
  require('node:http').createServer((req, res) => res.end(process.env.SECRET ?? 'nothing')).listen(process.env.PORT);
  console.log('a line');
`;

test('a server listens on a port of its own, and gets no setting of its surroundings', async () => {
  process.env.SECRET = 'of the surroundings';
  const servers = await Promise.all([1, 2].map(() => startServer(['-e', SERVER], {})));
  const texts = await Promise.all(servers.map(async ({ url }) => (await fetch(url)).text()));
  assert.deepEqual(texts, ['nothing', 'nothing']);
  assert.equal(new Set(servers.map(({ port }) => port)).size, 2);
  assert.ok(servers.every(({ lines }) => lines.includes('a line')));
  const ends = await Promise.all(servers.map(({ stop }) => stop()));
  assert.deepEqual(
    ends.map(({ code, signal, left }) => [code, signal, left]),
    new Array(2).fill([3, null, []]),
  );
});

test('one that ends before it listens is an error with what it wrote', async () => {
  const failing = startServer(['-e', "console.error('no model'); process.exit(1)"], {});
  await assert.rejects(failing, /^Error: the server ended with 1: no model/);
});

test('a process that outlives its server is reported, and killed', async () => {
  const sleeper = 'setInterval(() => {}, 1000)';
  const code = `
    const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(sleeper)}], { stdio: 'ignore' });
    child.once('spawn', () => console.log('up'));
  `;
  const server = spawnServer({ command: [process.execPath, '-e', code], env: {} });
  await once(server.child.stdout!, 'data');
  const [, child] = server.pids();
  const { left, signal } = await server.stop();
  assert.deepEqual([left, signal], [[child], 'SIGTERM']);
  await until(() => !isAlive(child!), 'its end');
});
