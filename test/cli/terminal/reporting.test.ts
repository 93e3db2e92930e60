import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../system/program.ts';

const PROGRAM = join(import.meta.dirname, 'verb-program.ts');
const verb = (...args: string[]) => run(process.execPath, [PROGRAM, ...args]);

test('an answer is on stdout, progress and notes are on stderr, and no is exit code 1', async () => {
  const [yes, no] = await Promise.all([verb('yes'), verb('no')]);
  assert.deepEqual(yes, { code: 0, stdout: 'all good\nsecond line\n', stderr: 'working\ncleaned up\n' });
  assert.deepEqual([no.code, no.stdout], [1, yes.stdout]);
});

test('--json is one document on stdout', async () => {
  const { code, stdout, stderr } = await verb('yes', '--json');
  assert.deepEqual([code, JSON.parse(stdout), stderr], [0, { good: true, rows: 3 }, 'cleaned up\n']);
});

test('an error that a user can act on is a line on stderr, and with --json a document as well', async () => {
  const line = 'rows.csv line 3: expected a number, got x';
  const [plain, json] = await Promise.all([verb('refused'), verb('refused', '--json')]);
  assert.deepEqual(plain, { code: 1, stdout: '', stderr: `working\ncleaned up\n${line}\n` });
  assert.deepEqual([json.code, JSON.parse(json.stdout)], [1, { error: line }]);
  assert.equal(json.stderr, `cleaned up\n${line}\n`);
});

test('wrong usage that the work finds is exit code 2', async () => {
  const { code, stderr } = await verb('usage');
  assert.deepEqual([code, stderr], [2, 'working\ncleaned up\ngive --golden or --rows\n']);
});

test('a fault of the program is not hidden: it has a stack', async () => {
  const { code, stderr } = await verb('fault');
  assert.equal(code, 1);
  assert.match(stderr, /cleaned up\n.*TypeError: a fault of the program\n +at /s);
});

for (const [kind, what] of [
  ['waiting', 'work that heeds it'],
  ['deaf', 'work that does not heed it'],
]) {
  test(`Ctrl-C ends ${what}: a line, exit code 130, and what is temporary is removed`, async () => {
    const child = spawn(process.execPath, [PROGRAM, kind!], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      if (stderr.endsWith('started\n')) child.kill('SIGINT');
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 130, stderr);
    assert.equal(stderr, 'working\nstarted\nonnx-cloud-run: interrupted\ncleaned up\n');
    assert.equal(stdout, 'temporary file removed\n');
  });
}
