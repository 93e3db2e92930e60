import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ServerProcess, watchServer } from '../../scripts/server-process.ts';
import { until } from '../helpers/until.ts';
import { npm, npmEnvironment } from './npm.ts';
import { ROOT, run } from './program.ts';

/** What people do: `npm install` of the published package in a folder of their own, then `npx onnx-cloud-run`. */
const temp = mkdtempSync(join(tmpdir(), 'package-'));
const [sources, user] = [join(temp, 'sources'), join(temp, 'user')];
let archive: string;
after(() => rmSync(temp, { recursive: true }));

before(async () => {
  // npm takes the nearest folder with a package.json or node_modules for the user's own.
  mkdirSync(join(user, 'node_modules'), { recursive: true });
  // A copy: npm replaces package.json while it packs, and other tests read it.
  const left = /[/\\](node_modules|\.?dist(-\d+)?|\.git|shared|coverage|tmp)$/;
  cpSync(ROOT, sources, { recursive: true, filter: (path) => path === ROOT || !left.test(path) });
  symlinkSync(join(ROOT, 'node_modules'), join(sources, 'node_modules'));
  await npm(sources, `pack --pack-destination ${temp}`);
  const [packed] = globSync('*.tgz', { cwd: temp });
  assert.ok(packed);
  archive = join(temp, packed);
});

const readJson = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

test('npm pack leaves package.json as it was', () => {
  assert.deepEqual(readJson(sources, 'package.json'), readJson(ROOT, 'package.json'));
});

test('npm publish of the folder is refused, as it would publish the dependencies of the repository', async () => {
  const { stderr, code } = await run('bash', ['-c', 'cd "$0" && npm publish --dry-run', sources], npmEnvironment());
  assert.equal(code, 1);
  assert.match(stderr, /publish the archive that npm pack writes: npm publish \.\/onnx-cloud-run-\*\.tgz/);
});

test('no script of onnxruntime-node runs in this repository: package-lock.json does not have the flag for it', () => {
  const lock = readJson(ROOT, 'package-lock.json');
  const message =
    'remove "hasInstallScript" of onnxruntime-node from package-lock.json: npm would fetch CUDA from NuGet';
  assert.equal(lock.packages['node_modules/onnxruntime-node'].hasInstallScript, undefined, message);
});

test('the package is installed without a script or a warning, and serves a model of the folder', async () => {
  cpSync(join(ROOT, 'models/iris/model.onnx'), join(user, 'model.onnx'));
  const started = performance.now();
  const installed = await npm(user, `install --foreground-scripts --prefer-offline --no-audit --no-fund ${archive}`);
  const installedAt = performance.now();
  assert.match(installed.stdout.trim(), /^added \d+ packages? in \w+$/);
  assert.equal(installed.stderr, '');
  const { packages } = readJson(user, 'node_modules/.package-lock.json') as { packages: Record<string, object> };
  assert.deepEqual(
    Object.keys(packages).filter((folder) => 'hasInstallScript' in packages[folder]!),
    [],
  );
  for (const name of ['@node-rs/crc32', '@anush008/tokenizers', 'sharp']) assert.ok(`node_modules/${name}` in packages);

  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, ...npmEnvironment() };
  const child = spawn('npx', ['onnx-cloud-run', 'serve', 'model.onnx', '--port', '0'], {
    cwd: user,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = watchServer(child, {
    pid: () => child.pid,
    // To the server itself, as its last line says: npx ends with its exit code.
    signal: (signal) => void process.kill(Number(/kill (\d+)/.exec(server.stderr())?.[1] ?? child.pid), signal),
  });
  try {
    const url = await addressOf(server);
    const response = await fetch(`${url}/predict`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"features":[5.1,3.5,1.4,0.2]}',
    });
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { prediction: number }).prediction, 0);
    const seconds = (to: number, from: number): string => ((to - from) / 1000).toFixed(1);
    const now = performance.now();
    console.log(`${seconds(installedAt, started)} s to install ${megabytes(join(user, 'node_modules'))} MB`);
    console.log(`${seconds(now, installedAt)} s to the first prediction; ${seconds(now, started)} s in all`);
  } finally {
    const { code, left } = await server.stop('SIGINT');
    assert.deepEqual([code, left], [0, []], server.written());
  }
  const [first, ready, ...rest] = server.stderr().split('\n');
  assert.deepEqual(first, 'loading model.onnx');
  assert.match(ready!, /^user 1 is ready, after \d+\.\d s$/);
  assert.ok(
    rest.every((line) => line === '' || /^ {2}(page|API|predict|stop) +\S/.test(line)),
    server.stderr(),
  );
  assert.ok(server.lines.every((line) => typeof JSON.parse(line).severity === 'string'));
});

test('the tools of the package run, those with processes of their own too', async () => {
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, ...npmEnvironment() };
  const tool = async (args: string): Promise<string> => {
    const { stdout, stderr, code } = await run('bash', ['-c', `cd "$0" && npx onnx-cloud-run ${args}`, user], env);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  assert.match(await tool('doctor model.onnx --no-measure'), / 1: serves$/m);
  assert.match(await tool('optimize model.onnx --output optimised.onnx'), /optimised\.onnx/);
});

test('the package has what the transform.ts of a model imports, with types, and runs it', async () => {
  const { PATH = '', HOME = '' } = process.env;
  cpSync(join(ROOT, 'examples/invoices'), join(user, 'invoices'), { recursive: true });
  const shell = (line: string) => run('bash', ['-c', `cd "$0" && ${line}`, user], { PATH, HOME, ...npmEnvironment() });
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const options = '--noEmit --strict --target es2024 --module nodenext --types ""';
  assert.deepEqual(await shell(`${tsc} ${options} invoices/transform.ts`), { stdout: '', stderr: '', code: 0 });
  const { stdout, stderr, code } = await shell('npx onnx-cloud-run doctor invoices --no-measure');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ +inputs +features string \[rows\]$/m);
});

test('the archive has the libraries of the platforms that it is for, and at most 60 MB', () => {
  const bin = join(user, 'node_modules/onnx-cloud-run/dist/node_modules/onnxruntime-node/bin');
  assert.deepEqual(globSync('*/*/*', { cwd: bin }).sort(), [
    'napi-v6/darwin/arm64',
    'napi-v6/linux/arm64',
    'napi-v6/linux/x64',
  ]);
  const { size } = statSync(archive);
  console.log(`the archive has ${(size / 1e6).toFixed(1)} MB`);
  assert.ok(size < 60e6, String(size));
});

test('the bill of materials in the package has the packages beside its bundles', () => {
  const { components } = readJson(user, 'node_modules/onnx-cloud-run/dist/sbom.cdx.json');
  const names = components.map(({ name }: { name: string }) => name);
  for (const name of ['onnxruntime-node', '@google-cloud/logging-winston', 'commander', 'zod'])
    assert.ok(names.includes(name), name);
});

/** Its address, once it has said it on stderr. @throws Error with its output if it ends */
const addressOf = (server: ServerProcess): Promise<string> =>
  until(
    () => {
      assert.equal(server.child.exitCode, null, server.written());
      return Promise.resolve(/ stop /.test(server.stderr()) && /http:\/\/localhost:\d+/.exec(server.stderr())?.[0]);
    },
    'the address on stderr',
    60_000,
  );

function megabytes(folder: string): number {
  const files = globSync('**', { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.round(files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0) / 1e6);
}
