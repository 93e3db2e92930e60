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

test('the check ends with 0 where /ready answers 200, and with 1 where it answers anything else', async (t) => {
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

test('the check ends with 1 where nothing listens, and where the answer breaks off', async (t) => {
  const { port } = await serve(t, (req) => req.socket.destroy());
  assert.equal(await check(port), 1);
  assert.equal(await check(9), 1);
});

test('the check looks at the port alone: another setting that cannot be used just now is not the health of the server', async (t) => {
  const { port } = await serve(t, (_, res) => res.end());
  assert.equal(await check(port, { ADMIN_TOKEN_FILE: '/nowhere/token', MAX_BATCH_SIZE: 'many' }), 0);
  assert.equal(await check(1, { AIP_HTTP_PORT: String(port) }), 0);
});
