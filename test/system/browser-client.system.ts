import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { buildClient } from '../../scripts/build-client.ts';
import { evaluate, launch } from './browser.ts';
import { type Served, serve } from './program.ts';

/** All calls of the client in a page. SERVER stands for the address of the server. */
const CALLS = `
import('/client.js').then(async ({ createClient }) => {
  const client = createClient({ url: 'SERVER', model: 'iris' });
  const { label } = await client.predict([5.1, 3.5, 1.4, 0.2]);
  let answered = 0;
  let failed = '';
  function* rows() {
    for (let i = 0; i < 10_000; i++) yield i === 7 ? [1] : [5.1, 3.5, 1.4 + (i % 50) / 10, 0.2];
  }
  for await (const row of client.batchPredict(rows())) {
    if (row.index !== answered++) throw new Error('row ' + row.index);
    if (row.error) failed += row.error.code;
  }
  const { outputs } = await client.infer({
    inputs: { features: { datatype: 'FP32', shape: [1, 4], data: Float32Array.of(5.1, 3.5, 1.4, 0.2) } },
    outputs: { label: 'INT64', probabilities: 'FP32' },
  });
  const error = await client.predict([1]).catch((thrown) => thrown);
  const { inputs } = await client.metadata();
  return [label, answered, failed, String(outputs.label.data), outputs.probabilities.data.length, error.code, error.status,
    error.path, error.requestId !== undefined, inputs[0].name, await client.ready()];
})`;

const REFUSED = `
import('/client.js').then(async ({ ClientError, createClient }) => {
  const client = createClient({ url: 'SERVER', retries: 1 });
  const error = await client.predict([5.1, 3.5, 1.4, 0.2]).catch((thrown) => thrown);
  const stream = await client.batchPredict([[5.1, 3.5, 1.4, 0.2]]).next().catch((thrown) => thrown);
  return [error instanceof ClientError, error.code, error.message, stream.code, stream.message === error.message];
})`;

describe('the client in a page of another origin than the server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'browser-client-'));
  const origin = createServer();
  let address = '';
  let browser: Browser;
  let code: Buffer;
  before(async () => {
    await buildClient(folder);
    code = readFileSync(join(folder, 'client.js'));
    origin.on('request', (req, res) => {
      if (req.url === '/client.js') res.setHeader('Content-Type', 'text/javascript').end(code);
      else res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>a page</title>');
    });
    await once(origin.listen(0, '127.0.0.1'), 'listening');
    address = `http://localhost:${(origin.address() as AddressInfo).port}`;
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    origin.close();
    rmSync(folder, { recursive: true });
  });

  async function inPage(program: string, env: Record<string, string>): Promise<unknown> {
    let server: Served | undefined;
    const context = await browser.newContext();
    try {
      server = await serve(['dist/server.js'], env);
      const page = await context.newPage();
      await page.goto(address);
      return await evaluate(page, program.replaceAll('SERVER', `http://localhost:${server.port}`));
    } finally {
      await context.close();
      await server?.stop();
    }
  }

  for (const origins of ['*', 'the origin of the page'])
    test(`makes every call if CORS_ORIGINS is ${origins}`, async () => {
      const env = { CORS_ORIGINS: origins === '*' ? origins : `https://other.example,${address}` };
      assert.deepEqual(await inPage(CALLS, env), [
        ...['setosa', 10_000, 'INVALID_INPUT', '0', 3],
        ...['INVALID_INPUT', 400, 'features', true, 'features', true],
      ]);
    });

  test('fails without CORS_ORIGINS, with an error that names it', async () => {
    const [isClientError, code, message, ofStream, isSame] = (await inPage(REFUSED, {})) as unknown[];
    assert.deepEqual([isClientError, code, ofStream, isSame], [true, 'NETWORK', 'NETWORK', true]);
    assert.match(
      String(message),
      /^Failed to fetch: there is no connection, or http:\/\/localhost:\d+ does not allow pages of/,
    );
    assert.match(String(message), new RegExp(`pages of ${address}, which its setting CORS_ORIGINS must name$`));
  });
});
