import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, spawnServer } from '../../scripts/server-process.ts';
import { serve as serveStub } from '../helpers/serve.ts';
import { until } from '../helpers/until.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'scripts/emulator.ts');

test('the emulator says on stderr where it is and how to call it, and its log is JSON', async () => {
  const port = await freePort();
  const server = spawnServer({
    command: [process.execPath, PROGRAM],
    env: { PORT: String(port), INFERENCE_PROCESSES: '1' },
  });
  try {
    await until(() => {
      assert.equal(server.child.exitCode, null, server.written());
      return Promise.resolve(/ stop /.test(server.stderr()));
    }, 'the report');
    assert.match(server.stderr(), /^iris 1 is ready, after \d+\.\d s$/m);
    const [, call] = /^ {2}predict {2}(.*)$/m.exec(server.stderr())!;
    const { stdout, code } = await run('bash', ['-c', `${call} --silent --fail`]);
    assert.equal(code, 0, call);
    assert.equal(JSON.parse(stdout).label, 'setosa');
    assert.ok(
      server.lines.every((line) => typeof JSON.parse(line).severity === 'string'),
      server.lines.join('\n'),
    );
  } finally {
    assert.equal((await server.stop('SIGINT')).code, 0);
  }
});

test('a setting that cannot be used, and a port in use, are one line and exit code 1', async (t) => {
  const wrong = await run(process.execPath, [PROGRAM], { PORT: 'x' });
  assert.deepEqual([wrong.code, wrong.stderr.split('\n').length], [1, 2], wrong.stderr);
  assert.match(wrong.stderr, /^PORT="x" is not usable/);
  const { port } = await serveStub(t, (_, res) => void res.end());
  const used = await run(process.execPath, [PROGRAM], { PORT: String(port), HOST: '127.0.0.1' });
  assert.deepEqual([used.code, used.stderr.split('\n').length], [1, 2], used.stderr);
  assert.match(used.stderr, new RegExp(`EADDRINUSE.*${port}`));
});
