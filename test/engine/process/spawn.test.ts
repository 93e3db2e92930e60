import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, test } from 'node:test';
import { prespawn, spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { until } from '../../helpers/until.ts';

const children = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'ProcessWrap').length;

afterEach(() => until(() => children() === 0, 'every engine process has ended'));

test('the prespawned engine is the first that is used, and is started once', async () => {
  prespawn();
  prespawn();
  assert.equal(children(), 1);
  const first = spawnEngine();
  assert.equal(children(), 1, 'the first is there already');
  const second = spawnEngine();
  assert.equal(children(), 2, 'the second is new');
  assert.notEqual(first.pid, second.pid);
  const ended = [first, second].map((child) => once(child, 'exit'));
  for (const child of [first, second]) (child.stdio[3] as NodeJS.WritableStream).end();
  assert.deepEqual(await Promise.all(ended), [
    [0, null],
    [0, null],
  ]);
});

test('a server starts although there is no memory yet for the prespawned engine', async (t) => {
  const mocked = t.mock.method(childProcess, 'spawn', () => {
    throw new Error('spawn ENOMEM');
  });
  syncBuiltinESMExports();
  prespawn();
  assert.throws(() => spawnEngine(), /ENOMEM/);
  mocked.mock.restore();
  syncBuiltinESMExports();
  const child = spawnEngine();
  (child.stdio[3] as NodeJS.WritableStream).end();
  await once(child, 'exit');
});
