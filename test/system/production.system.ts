import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT, type Served, serve } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'production-'));
for (const name of ['dist', 'models', 'package.json'])
  cpSync(join(ROOT, name), join(folder, name), { recursive: true });
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
after(() => rmSync(folder, { recursive: true }));

async function predict({ port }: Served): Promise<string> {
  const response = await fetch(`http://localhost:${port}/predict`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"features":[6.3,2.9,5.6,1.8]}',
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text;
}

test('the bundle serves without its sources, ends on SIGTERM with code 0, and answers as the emulator does', async () => {
  const container = await serve(['dist/server.js'], {}, folder);
  let answer: string;
  let code: number | string | null;
  try {
    answer = await predict(container);
  } finally {
    code = await container.stop();
  }
  assert.equal(JSON.parse(answer).label, 'virginica');
  assert.equal(code, 0);

  const emulator = await serve(['scripts/emulator.ts']);
  try {
    assert.equal(await predict(emulator), answer);
  } finally {
    await emulator.stop();
  }
});
