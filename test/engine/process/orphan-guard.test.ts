import assert from 'node:assert/strict';
import childProcess, { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';

test('a guard that was killed is replaced when the next engine starts, and guards all engines', async (t) => {
  const shells: ChildProcess[] = [];
  const { spawn } = childProcess;
  t.mock.method(childProcess, 'spawn', (...args: Parameters<typeof spawn>) => {
    const started = spawn(...args);
    if (args[0] === '/bin/sh') shells.push(started);
    return started;
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const { guardOrphan } = await import('../../../functions/engine/process/orphan-guard.ts');
  const engines = [0, 1].map(() => spawn('/bin/cat', { stdio: ['pipe', 'ignore', 'ignore'] }));
  t.after(() => engines.forEach((engine) => void engine.kill('SIGKILL')));
  guardOrphan(engines[0]!);
  const [first] = shells;
  first!.ref();
  const ended = once(first!, 'exit');
  first!.kill('SIGKILL');
  await ended;
  guardOrphan(engines[1]!);
  assert.equal(shells.length, 2);
  // The end of its input is that of the server.
  const ends = engines.map((engine) => once(engine, 'exit'));
  shells[1]!.stdin!.end();
  assert.deepEqual(await Promise.all(ends), [
    [null, 'SIGKILL'],
    [null, 'SIGKILL'],
  ]);
});
