import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorLine } from '../../../functions/cli/terminal/error-line.ts';
import { ServingError } from '../../../functions/errors.ts';

const thrownBy = (call: () => unknown): unknown => {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
};

test('an error of the server is its line, with what only operators read', () => {
  assert.equal(errorLine(new ServingError('MODEL_FAILED', 'm.onnx: cut short')), 'm.onnx: cut short');
  const detailed = new ServingError('NOT_READY', 'not ready', { detail: 'gs://b: 403\n  no permission' });
  assert.equal(errorLine(detailed), 'gs://b: 403 no permission');
});

test('an error of the file system is the path and what is wrong with it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'error-line-'));
  t.after(() => rm(folder, { recursive: true }));
  const missing = join(folder, 'missing');
  assert.equal(errorLine(thrownBy(() => readFileSync(missing))), `${missing}: no such file or folder`);
  // The error of a read has no path.
  assert.match(errorLine(thrownBy(() => readFileSync(folder)))!, /expected a file, and it is a folder$/);
});

test('an error of the network is the address and what is wrong with it', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const error = await fetch(`http://127.0.0.1:${port}/`).catch((cause: unknown) => cause);
  assert.match(errorLine(error)!, new RegExp(`^127\\.0\\.0\\.1:${port}: nothing listens there`));
});

test('a fault of the program is no line', () => {
  assert.equal(errorLine(new TypeError('x is not a function')), undefined);
  assert.equal(errorLine('text'), undefined);
});
