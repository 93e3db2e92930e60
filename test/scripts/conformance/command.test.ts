import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { serve } from '../../helpers/serve.ts';

const COMMAND = join(import.meta.dirname, '../../../scripts/conformance.ts');

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test('a usage error is printed with the usage, exit code 2', async () => {
  const { code, stderr } = await run();
  assert.equal(code, 2);
  assert.match(stderr, /^expected a URL .*, got none\n\nusage: npm run conformance -- URL/);
});

test('--fixture FOLDER writes the models, and says how a server takes them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'command-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { code, stdout } = await run('--fixture', folder);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`MODEL_URI=${folder} MODEL_NAME=starting npm start`));
  const files = globSync('*/*/model.onnx', { cwd: folder }).sort();
  assert.deepEqual(
    files.filter((file) => file.startsWith('versioned')),
    ['versioned/1/model.onnx', 'versioned/2/model.onnx'],
  );
  for (const file of files) readModel(readFileSync(join(folder, file)), file);
});

test('the table is printed, and the exit code is 0 where nothing failed and 1 where something did', async (t) => {
  const metadata = { name: 'tiny', version: '1', extensions: [] as unknown };
  const { url } = await serve(t, (_, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(metadata));
  });
  const sound = await run(url, '--only', '1,18');
  assert.equal(sound.code, 0);
  assert.match(
    sound.stdout,
    /^ 1 {2}pass {8}GET \/v2 .*\n18 {2}not proven .* \(needs --fixture\)\n\n2 checks: 1 pass, 0 fail, 1 not proven, 0 cannot\n$/m,
  );
  metadata.extensions = 'none';
  const wrong = await run(url, '--only', '1');
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.stdout,
    /^ 1 {2}FAIL .*\n {4}- \/v2: extensions: expected an array of strings, got "none"\n {6}GET \/v2 /m,
  );
});

test('a server that is not there fails, exit code 1', async () => {
  const { code, stdout } = await run('http://127.0.0.1:9', '--only', '1', '--timeout', '1');
  assert.equal(code, 1);
  assert.match(stdout, /ECONNREFUSED/);
});
