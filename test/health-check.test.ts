import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { serve } from './helpers/serve.ts';

const CHECK = join(import.meta.dirname, '../functions/health-check.ts');

async function check(port: number, env: Record<string, string> = {}): Promise<unknown> {
  const child = spawn(process.execPath, [CHECK], { env: { PORT: String(port), ...env }, stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  return code;
}

test('the check exits with 0 when /ready responds with 200, and with 1 for any other status', async (t) => {
  for (const [status, code] of [
    [200, 0],
    [503, 1],
    [302, 1],
  ] as const) {
    const asked: (string | undefined)[] = [];
    const { port } = await serve(t, (req, res) => {
      asked.push(req.url);
      res.writeHead(status, { location: '/ready' }).end();
    });
    assert.equal(await check(port), code);
    assert.deepEqual(asked, ['/ready']);
  }
});

test('the check exits with 1 when no server listens, and when the response is cut off', async (t) => {
  const { port } = await serve(t, (req) => req.socket.destroy());
  assert.equal(await check(port), 1);
  assert.equal(await check(9), 1);
});

test('the check reads the port alone: another setting that is invalid does not make the server unhealthy', async (t) => {
  const { port } = await serve(t, (_, res) => res.end());
  assert.equal(await check(port, { ADMIN_TOKEN_FILE: '/nowhere/token', MAX_BATCH_SIZE: 'many' }), 0);
  assert.equal(await check(1, { AIP_HTTP_PORT: String(port) }), 0);
});
