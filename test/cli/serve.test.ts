import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { type ServerProcess, spawnServer } from '../../scripts/server-process.ts';
import { BUCKET, fromBucket, withStorage } from '../helpers/bucket.ts';
import { summed } from '../helpers/models.ts';
import { serve as serveStub } from '../helpers/serve.ts';
import { until } from '../helpers/until.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'dist/cli.js');
const IRIS = join(ROOT, 'models/iris/model.onnx');
buildIfNeeded('ctimeMs');
const folder = mkdtempSync(join(tmpdir(), 'serve-'));
after(() => rmSync(folder, { recursive: true }));

/** A module that makes a process take its pipes for a terminal. */
const TERMINAL = `data:text/javascript,${encodeURIComponent(`
  for (const stream of [process.stdin, process.stdout, process.stderr]) stream.isTTY = true;
  process.stderr.columns = 80;
`)}`;

const cli = (args: string[], env: Record<string, string> = {}) =>
  run(process.execPath, [PROGRAM, ...args], { LOG_LEVEL: 'error', ...env });

function start(args: readonly string[], env: Record<string, string> = {}, flags: readonly string[] = []) {
  const command = [process.execPath, ...flags, PROGRAM, 'serve', ...args] as const;
  return spawnServer({ command, env: { INFERENCE_PROCESSES: '1', ...env }, cwd: folder });
}

/** Its address, once it has said it on stderr. @throws Error with its output if it ends */
const addressOf = (server: ServerProcess): Promise<string> =>
  until(() => {
    assert.equal(server.child.exitCode, null, server.written());
    return Promise.resolve(/ stop /.test(server.stderr()) && /http:\/\/localhost:\d+/.exec(server.stderr())?.[0]);
  }, 'the address on stderr');

test('a file is served from any folder: stderr says where, how to call it and how to stop', async () => {
  mkdirSync(join(folder, 'mine'));
  cpSync(IRIS, join(folder, 'mine/flowers.onnx'));
  const server = start(['mine/flowers.onnx', '--port', '0']);
  try {
    const url = await addressOf(server);
    const lines = server.stderr().split('\n');
    assert.equal(lines[0], 'loading mine/flowers.onnx');
    assert.match(lines[1]!, /^flowers 1 is ready, after \d+\.\d s$/);
    assert.ok(lines.includes(`  page     ${url}/`) && lines.includes(`  stop     kill ${server.pid}`));
    const call = lines.find((line) => line.startsWith('  predict  '))!.slice(11);
    const { stdout, code } = await run('bash', ['-c', `${call} --silent --fail`]);
    assert.equal(code, 0, call);
    assert.equal(JSON.parse(stdout).prediction, 0);
    // The log is what it is without the report.
    assert.ok(server.lines.every((line) => typeof JSON.parse(line).severity === 'string'));
    assert.ok(server.lines.some((line) => JSON.parse(line).message === 'model ready'));
  } finally {
    const { code, left } = await server.stop('SIGINT');
    assert.deepEqual([code, left], [0, []]);
  }
});

test('on a terminal a line shows the progress of a download, and the log is quiet unless LOG_LEVEL is set', () =>
  withStorage(
    async (storage) => {
      storage.put(BUCKET, 'iris/model.onnx', summed(5, 2 ** 20));
      const server = start([`gs://${BUCKET}/iris`, '--port', '0'], fromBucket(storage, ''), ['--import', TERMINAL]);
      try {
        await addressOf(server);
        const drawn = server.stderr().split('\r\x1b[K');
        assert.ok(drawn.some((line) => /^loading gs:\/\/models\/iris: \[#+-+\] +\d+ % .* of 1\.0 MB$/.test(line)));
        assert.match(drawn.at(-1)!, /^iris 1 is ready/);
        assert.match(drawn.at(-1)!, /^ {2}stop {5}Ctrl\+C$/m);
        assert.deepEqual(server.lines, []);
      } finally {
        await server.stop();
      }
    },
    { bytesPerSecond: 2 ** 20 },
  ));

test('a reader of stderr that ends does not end the server', async () => {
  const server = start([IRIS, '--port', '0']);
  server.child.stderr!.destroy();
  try {
    await until(() => Promise.resolve(server.lines.some((line) => line.includes('model ready'))), 'the model');
    const { port } = JSON.parse(server.lines.find((line) => line.includes('listening on'))!);
    assert.equal((await fetch(`http://localhost:${port}/ready`)).status, 200);
  } finally {
    assert.equal((await server.stop()).code, 0);
  }
});

test('a program in production reports nothing on stderr: its log is the report', async () => {
  const server = start([IRIS, '--port', '0'], { NODE_ENV: 'production' });
  try {
    await until(() => Promise.resolve(server.lines.some((line) => line.includes('model ready'))), 'the model');
    assert.equal(server.stderr(), '');
  } finally {
    await server.stop();
  }
});

test('a file or folder that cannot be served is one line, and exit code 1', async () => {
  const text = join(folder, 'notes.onnx');
  writeFileSync(text, 'not a model');
  const cases: [args: string[], env: Record<string, string>, line: RegExp][] = [
    [['missing.onnx'], {}, /^onnx-cloud-run: no such file or folder: \/.*missing\.onnx\n$/],
    [[join(ROOT, 'package.json')], {}, /package\.json: a model is a file whose name ends in \.onnx, or a folder\n$/],
    [[text], {}, /^onnx-cloud-run: .*notes\.onnx: expected an ONNX model, but found text: "not a model"\n$/],
    [['s3://bucket/model'], {}, /^onnx-cloud-run: s3:\/\/bucket\/model: a model is a path, file:\/\/… or gs:/],
    [[], { MODEL_URI: '/nowhere' }, /^onnx-cloud-run: no such file or folder: \/nowhere\n$/],
    [[IRIS], { MAX_BATCH_SIZE: 'x' }, /^MAX_BATCH_SIZE="x" is not usable: it takes a number, 1 to 65536\n$/],
    [[IRIS], { TLS_CERT_FILE: '/nowhere', TLS_KEY_FILE: '/nowhere' }, /^onnx-cloud-run: TLS_CERT_FILE=\/nowhere: /],
  ];
  const check = async ([args, env, line]: (typeof cases)[number]): Promise<void> => {
    const { stderr, code } = await cli(['serve', ...args], env);
    assert.equal(code, 1);
    assert.match(stderr, line);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  };
  await Promise.all(cases.map(check));
});

test('a model that does not load ends serve with its reason, and exit code 1', async () => {
  mkdirSync(join(folder, 'wrong'));
  cpSync(IRIS, join(folder, 'wrong/model.onnx'));
  writeFileSync(join(folder, 'wrong/model.json'), '{"output":"nothing"}');
  const { stderr, code } = await cli(['serve', join(folder, 'wrong/model.onnx'), '--port', '0']);
  assert.equal(code, 1);
  assert.match(stderr, /\nonnx-cloud-run: .*nothing.*\n$/);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('a folder whose model does not load is served, and stderr has the reason', async () => {
  const server = start(['several', '--port', '0']);
  mkdirSync(join(folder, 'several'));
  for (const name of ['a', 'b']) {
    mkdirSync(join(folder, 'several', name));
    cpSync(IRIS, join(folder, 'several', name, 'model.onnx'));
  }
  try {
    const url = await addressOf(server);
    assert.match(
      server.stderr(),
      /the model behind \/predict is not ready: .* holds 2 models: set MODEL_NAME to one of a, b/,
    );
    assert.equal((await fetch(`${url}/models/b`)).status, 200);
  } finally {
    await server.stop();
  }
});

test('a port that is in use is one line on stderr, and exit code 1', async (t) => {
  const { port } = await serveStub(t, (_, res) => void res.end());
  const { stderr, code } = await cli(['serve', IRIS, '--port', String(port)]);
  assert.deepEqual([code, stderr], [1, `onnx-cloud-run: PORT=${port} is in use: set another port\n`]);
});

test('--open opens the page once the model is ready, and a machine without a browser is told the address', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['xdg-open', 'open']) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "$1" > ${folder}/opened\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const server = start([IRIS, '--port', '0', '--open'], { PATH: `${bin}:${process.env.PATH}` });
  try {
    const url = await addressOf(server);
    const opened = await until(async () => {
      try {
        return readFileSync(join(folder, 'opened'), 'utf8');
      } catch {
        return undefined;
      }
    }, 'the page to be opened');
    assert.equal(opened, `${url}/\n`);
  } finally {
    await server.stop();
  }
  const other = start([IRIS, '--port', '0', '--open'], { PATH: '/nowhere' });
  try {
    const url = await addressOf(other);
    await until(() => Promise.resolve(other.stderr().includes(`did not work; open ${url}/`)), 'the line');
  } finally {
    await other.stop();
  }
});
