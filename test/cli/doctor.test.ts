import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { descendants, isAlive } from '../helpers/descendants.ts';
import { endless, fixedBatch, unknownOperator } from '../helpers/models.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { until } from '../helpers/until.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'functions/cli/main.ts');
const IRIS = join(ROOT, 'models/iris');
const cli = (...args: string[]) => run(process.execPath, [PROGRAM, 'doctor', ...args]);
const write = tempFiles('doctor-cli-');

test('exit code 0 for a model that serves, with the report on stdout and a line for each step on stderr', async () => {
  const { code, stdout, stderr } = await cli(IRIS, '--no-measure');
  assert.equal(code, 0);
  assert.match(stdout, /^iris 1: serves\n/);
  assert.match(stderr, /^looking for models in .*\nreading .*\nloading .*\n$/);
  assert.ok(!stdout.includes('\u001b'), 'colours are for terminals');
});

test('a warning does not fail; a model that does not serve is exit code 1, and its reason is on stdout', async () => {
  const [warned, broken] = await Promise.all([
    cli(write('fixed.onnx', fixedBatch()), '--no-measure'),
    cli(write('unknown.onnx', unknownOperator()), '--no-measure'),
  ]);
  assert.equal(warned.code, 0);
  assert.match(warned.stdout, /^fixed 1: serves, with 1 warning\n/);
  assert.equal(broken.code, 1);
  assert.match(broken.stdout, /\n {2}does not serve: the operator NoSuchOperator .*\n {2}fix: export the model with/);
});

test('--json is one document on stdout, and nothing on stderr', async () => {
  const { code, stdout, stderr } = await cli(IRIS, '--no-measure', '--json');
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(JSON.parse(stdout).models[0].name, 'iris');
});

const MISTAKES: [args: string[], code: number, line: RegExp][] = [
  [[], 2, /^onnx-cloud-run: missing required argument 'model'; examples: onnx-cloud-run doctor --help\n$/],
  [['a', 'b'], 2, /^onnx-cloud-run: too many arguments for 'doctor'/],
  [[IRIS, '--threads', '0'], 2, /argument '0' is invalid\. It takes a number of threads, 1 to 64\.\n$/],
  [
    [IRIS, '--force'],
    2,
    /\nonnx-cloud-run: --force is for --write: give both\n$|^onnx-cloud-run: --force is for --write/,
  ],
  [['no-such.onnx'], 1, /^looking for .*\nonnx-cloud-run: no-such\.onnx: no such file or folder\n$/],
  [[PROGRAM], 1, /onnx-cloud-run: .*main\.ts: a model is a file whose name ends in \.onnx, or a folder\n$/],
  [[join(ROOT, 'docs')], 1, /onnx-cloud-run: .*docs: expected model\.onnx in it, .* and found no \.onnx file\n$/],
  [['gs:/bucket/model'], 1, /onnx-cloud-run: gs:\/bucket\/model: .*\n$/],
  [[IRIS, '--prices', 'no-such.json'], 1, /onnx-cloud-run: no-such\.json: no such file or folder\n$/],
];
for (const [args, expected, line] of MISTAKES) {
  test(`a mistake is a line that helps, without a stack: doctor ${args.map((arg) => arg.replace(ROOT, '.')).join(' ')}`, async () => {
    const { code, stdout, stderr } = await cli(...args);
    assert.deepEqual([code, stdout], [expected, '']);
    assert.match(stderr, line);
    assert.doesNotMatch(stderr, /\n +at /);
  });
}

test('a reader that closes the pipe is no error', async () => {
  const { stderr } = await run('bash', [
    '-c',
    '"$0" "$1" doctor "$2" --no-measure 2>&1 >/dev/null | cat >&2; "$0" "$1" doctor "$2" --no-measure --json | head -c 1 > /dev/null',
    process.execPath,
    PROGRAM,
    IRIS,
  ]);
  assert.doesNotMatch(stderr, /EPIPE|\n +at /);
});

test('Ctrl-C while a model runs without end is a line and exit code 130, and its engine process ends', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'doctor', write('endless.onnx', endless())], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  await until(() => stderr.includes('loading ') && descendants(child.pid!).length > 0, 'the engine to start');
  const engines = descendants(child.pid!);
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 130, stderr);
  assert.match(stderr, /\nonnx-cloud-run: interrupted\n$/);
  await until(() => engines.every((pid) => !isAlive(pid)), 'the engine to end');
});
