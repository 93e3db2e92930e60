import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { verifyBundle } from '../../functions/model/signature/bundle.ts';
import { readPublicKeys } from '../../functions/model/signature/public-keys.ts';
import { addConstant, writeModel } from '../helpers/models.ts';
import { signingKey } from '../helpers/signing-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'sign-model-'));
after(() => rmSync(folder, { recursive: true }));
const SCRIPT = join(import.meta.dirname, '../../scripts/sign-model.ts');

function run(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ failed: boolean; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ failed: error !== null, out, err }),
    );
  });
}

test('the command signs a folder with an encrypted key, and names the files', async () => {
  const { privateKey, pem } = signingKey('p256');
  const key = join(folder, 'key.pem');
  const passphrase = 'of some length';
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }));
  const model = writeModel(folder, 'team/iris/3', addConstant(1));
  const { failed, out, err } = await run(['--key', key, '--name', 'team/iris/3', model], {
    KEY_PASSPHRASE: passphrase,
  });
  assert.deepEqual([failed, err, out], [false, '', `signed 1 files in ${model}: model.onnx\n`]);
  const { name } = verifyBundle(readFileSync(join(model, 'model.sig'), 'utf8'), readPublicKeys(pem), 'x');
  assert.equal(name, 'team/iris/3');
});

test('a call that cannot be done ends with one line and exit code 1', async () => {
  const key = join(folder, 'other.pem');
  writeFileSync(key, signingKey('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const empty = mkdtempSync(join(folder, 'empty-'));
  for (const [args, message] of [
    [[], /^expected 1 argument, got 0/],
    [[empty], /^--key is missing/],
    [['--key', key, empty], /has no \.onnx file$/],
    [['--key', join(folder, 'missing.pem'), empty], /ENOENT/],
  ] as const) {
    const { failed, err } = await run(args);
    assert.ok(failed);
    assert.match(err.trim(), message);
    assert.equal(err.trim().split('\n').length, 1);
  }
});
