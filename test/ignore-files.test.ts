import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { filesForUpload } from './helpers/google-cloud/upload.ts';

const ROOT = join(import.meta.dirname, '..');

/** What `npm pack` leaves in this folder, also one that was interrupted, and Python beside the client. */
const MADE = [
  'onnx-cloud-run-0.1.0.tgz',
  'onnx-cloud-run-client-0.1.0.tgz',
  'package.json.bak',
  '.dist-123/server.js',
  'clients/typescript/dist/client.js',
  'clients/python/dist/onnx_cloud_run_client-0.1.0.tar.gz',
  'clients/python/__pycache__/onnx_cloud_run.cpython-313.pyc',
];

test('what is made here is neither committed nor uploaded, and the archives are in no context of an image', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ignore-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const file of [...MADE, 'package.json']) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  for (const rules of ['.gitignore', '.gcloudignore', '.gcloudbuildignore']) {
    cpSync(join(ROOT, rules), join(folder, rules));
    const left = filesForUpload(folder, rules);
    assert.ok(left.includes('package.json'), rules);
    assert.deepEqual(
      left.filter((file) => MADE.includes(file)),
      [],
      rules,
    );
  }
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  for (const line of ['*.tgz', '*.bak', 'clients', '**/.*']) assert.ok(lines.includes(line), line);
});
