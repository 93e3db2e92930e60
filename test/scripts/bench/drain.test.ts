import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { drain } from '../../../scripts/bench/drain.ts';

const CONNECTIONS = 8;

/** A server that holds each request for 400 ms, signalled when it holds the first of every connection. */
async function runDrain(t: TestContext, onSignal: string) {
  const source = `
    let draining = false;
    let last;
    const server = require('http').createServer((req, res) => {
      req.resume();
      last = req.socket;
      setTimeout(() => {
        if (draining === 'refuse') res.statusCode = 503;
        if (draining) res.setHeader('connection', 'close');
        res.end('ok');
      }, 400);
    });
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));
    process.on('SIGTERM', () => { ${onSignal} });`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [port] = await once(child.stdout, 'data');
  const request = requestBytes('POST', '/predict', '{}');
  return drain({
    port: Number(port),
    pid: child.pid!,
    request,
    connections: CONNECTIONS,
    secondsBefore: 0.2,
    boundSeconds: 2,
  });
}

test('a server that responds to all accepted requests, and closes, has no failure', async (t) => {
  const result = await runDrain(t, 'draining = true; server.close();');
  assert.deepEqual([result.failed, result.failures], [0, {}]);
  assert.deepEqual([result.accepted, result.before, result.after], [CONNECTIONS, 0, CONNECTIONS]);
});

test('a server that exits at once fails every request it had', async (t) => {
  const result = await runDrain(t, 'process.exit(0);');
  assert.deepEqual([result.failed, result.after, result.raced], [CONNECTIONS, 0, 0]);
});

test('a 503 for a request written before the signal is a failure', async (t) => {
  const result = await runDrain(t, `draining = 'refuse'; server.close();`);
  assert.deepEqual([result.failures, result.refused], [{ 'status 503': CONNECTIONS }, 0]);
});

test('a server that hangs after the signal has failed what it had', async (t) => {
  const result = await runDrain(t, 'while (true);');
  assert.deepEqual(result.failures, { 'unanswered at the end': CONNECTIONS });
});

test('a server that drops one accepted request has one failure', async (t) => {
  const result = await runDrain(t, 'draining = true; server.close(); last.destroy();');
  assert.deepEqual(result.failures, { 'cut without an answer': 1 });
  assert.deepEqual([result.after, result.raced], [CONNECTIONS - 1, 0]);
});
