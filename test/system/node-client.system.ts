import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocks, section } from '../helpers/readme.ts';
import { run, serve } from './program.ts';

test("README's Node client sends and reads 20 000 rows", async () => {
  const server = await serve(['scripts/start.ts']);
  try {
    const client = blocks(section('Clients that stream')).find(({ language }) => language === 'js')!;
    const typed = client.text.replace('localhost:8080', `localhost:${server.port}`);
    const { stdout, stderr, code } = await run(process.execPath, ['--input-type=module', '-e', typed]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '{ done: true, ok: 20000, failed: 0 }\n');
  } finally {
    await server.stop();
  }
});
