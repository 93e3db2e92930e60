import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'dist/cli.js');
buildIfNeeded('ctimeMs');
const folder = mkdtempSync(join(tmpdir(), 'quantize-'));
after(() => rmSync(folder, { recursive: true }));
cpSync(join(ROOT, 'models/iris'), join(folder, 'iris'), { recursive: true });

const inFolder = (name: string): string => join(folder, name);
const quantize = (...args: string[]) =>
  run(process.execPath, [PROGRAM, 'quantize', ...args.map((arg) => arg.replace(/^@/, `${folder}/`))]);

test('it writes the result beside the model, and prints what changed, how the answers differ, and whether rows are joined', async () => {
  const { stdout, stderr, code } = await quantize('@iris', '--mode', 'dynamic');
  assert.equal(code, 0, stderr);
  const lines = stdout.split('\n');
  assert.deepEqual(lines.slice(0, 3), ['changed:', '  Gemm → MatMulInteger  1 node', '']);
  assert.match(stdout, /^compared over \d+ rows:$/m);
  assert.match(stdout, /^the same class for (\d+) of \1 rows \(100\.0 %\), by output label$/m);
  assert.match(stdout, /^rows of different requests no longer share a run: operator DynamicQuantizeLinear, /m);
  assert.match(stdout, /^The server runs rows .* one at a time then\. To join them, use --mode static, /m);
  assert.equal(lines.at(-2), `wrote ${folder}/iris/model.dynamic.onnx (981 bytes)`);
  assert.deepEqual(
    readdirSync(inFolder('iris')).filter((name) => name.endsWith('.onnx')),
    ['model.dynamic.onnx', 'model.onnx'],
  );
  assert.deepEqual(stderr.split('\n').slice(0, 2), ['reading rows', 'quantizing']);
});

test('--json prints one document, and no steps', async () => {
  const { stdout, stderr, code } = await quantize(
    '@iris/model.onnx',
    '--mode',
    'float16',
    '--json',
    '--output',
    '@f.onnx',
  );
  assert.deepEqual([code, stderr], [0, '']);
  const document = JSON.parse(stdout);
  assert.deepEqual(
    { ...document, bytes: 0, comparison: Object.keys(document.comparison).slice(0, 3) },
    {
      model: inFolder('iris/model.onnx'),
      mode: 'float16',
      files: [inFolder('f.onnx')],
      bytes: 0,
      changed: ['Gemm', 'Softmax', 'ArgMax'].map((operator) => ({ operator, by: operator, nodes: 1 })),
      kept: [],
      notes: [],
      comparison: ['rows', 'agreement', 'outputs'],
      tolerance: 0.01,
      beyond: null,
    },
  );
});

test('a result beyond the tolerance stays, and the exit code is 1', async () => {
  const bytes = model({
    name: 'g',
    inputs: [value('x', 'float32', ['rows', 64])],
    outputs: [value('y', 'float32', ['rows', 1])],
    initializers: [
      initializer(
        'W',
        'float32',
        [64, 1],
        Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
      ),
    ],
    nodes: [node('MatMul', ['x', 'W'], ['y'])],
  });
  writeFileSync(inFolder('sum.onnx'), bytes);
  writeFileSync(inFolder('rows.ndjson'), `${JSON.stringify(Array.from({ length: 64 }, (_, i) => i))}\n`);
  const args = ['@sum.onnx', '--mode', 'weights', '--samples', '@rows.ndjson', '--tolerance', '0'];
  const { stdout, code } = await quantize(...args);
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^beyond the tolerance: output y: the mean relative difference is [\d.]+, and the tolerance is 0$/m,
  );
  assert.ok(readdirSync(folder).includes('sum.weights.onnx'));
});

test('without rows the result is loaded, and not compared; external data is written where asked', async () => {
  mkdirSync(inFolder('alone'));
  const weights = Float32Array.from({ length: 256 * 256 }, (_, i) => Math.sin(i));
  const bytes = model({
    name: 'g',
    inputs: [value('x', 'float32', ['rows', 256])],
    outputs: [value('y', 'float32', ['rows', 256])],
    initializers: [initializer('W', 'float32', [256, 256], weights)],
    nodes: [node('MatMul', ['x', 'W'], ['y'])],
  });
  writeFileSync(inFolder('alone/model.onnx'), bytes);
  const { stdout, code } = await quantize('@alone', '--mode', 'weights', '--bits', '8', '--external-data');
  assert.equal(code, 0);
  assert.match(stdout, /^not compared with the original: there are no sample rows: name a file with --samples$/m);
  assert.deepEqual(readdirSync(inFolder('alone')), ['model.onnx', 'model.weights.onnx', 'model.weights.onnx.data']);
});

const FAILING: [args: string[], code: number, line: RegExp][] = [
  [['--mode', 'dynamic'], 2, /missing required argument 'model'/],
  [['@iris'], 2, /required option '-m, --mode <mode>' not specified/],
  [
    ['@iris', '--mode', 'int8'],
    2,
    /argument 'int8' is invalid\. Allowed choices are dynamic, static, weights, float16\./,
  ],
  [['@iris', '--mode', 'dynamic', '--bits', '4'], 2, /--bits is an option of --mode weights, and the mode is dynamic/],
  [['@iris', '--mode', 'weights', '--block-size', '33'], 2, /It takes a power of two from 16 to 4096\./],
  [['@iris', '--mode', 'dynamic', '--tolerance', '2'], 2, /It takes a number from 0 to 1\./],
  [['@nowhere.onnx', '--mode', 'dynamic'], 1, /nowhere\.onnx: no such file or folder/],
  [['@', '--mode', 'dynamic'], 1, /expected model\.onnx in it|it has \d+ models/],
  [['@text.onnx', '--mode', 'dynamic'], 1, /text\.onnx/],
  [
    ['@iris', '--mode', 'dynamic', '--exclude', 'Conv*', '--force'],
    1,
    /Conv\*: no node has this name, and no node this operator; the operators of the model are ArgMax, Gemm, Softmax/,
  ],
  [
    ['@iris', '--mode', 'dynamic', '--exclude', 'Gemm', '--force'],
    1,
    /there is nothing to quantize: none of the selected nodes/,
  ],
  [['@iris', '--mode', 'weights'], 1, /nothing to quantize: Gemm .*: its weight \S+ is too small for blocks of 32/],
  [
    ['@iris', '--mode', 'dynamic', '--output', '@iris/model.onnx'],
    1,
    /the result would replace the model: give another --output/,
  ],
  [
    ['@iris', '--mode', 'dynamic', '--output', '@iris/iris.csv'],
    1,
    /iris\.csv exists: give another --output, or --force/,
  ],
  [['@iris', '--mode', 'dynamic', '--output', '@no/where.onnx'], 1, /no\/where\.onnx: its folder does not exist/],
  [['@iris', '--mode', 'dynamic', '--output', '@s.onnx', '--samples', '@rows.csv'], 1, /rows\.csv:1: .*sepal_length/],
];
test('what cannot be done is one line, without a stack', async () => {
  writeFileSync(inFolder('text.onnx'), 'This is no model, but a text of some length.');
  writeFileSync(inFolder('rows.csv'), 'a,b\n1,2\n');
  for (const [args, expected, line] of FAILING) {
    const { stdout, stderr, code } = await quantize(...args);
    const last = stderr.trimEnd().split('\n').at(-1)!;
    assert.match(last, line, args.join(' '));
    assert.match(last, /^onnx-cloud-run: /);
    assert.deepEqual([code, stdout], [expected, ''], args.join(' '));
    assert.doesNotMatch(stderr, /^ +at /m);
  }
});

test('a result that does not load is not written', async () => {
  // A model that does not load itself: the operator does not exist.
  mkdirSync(inFolder('broken'));
  const bytes = model({
    name: 'g',
    inputs: [value('x', 'float32', ['rows', 4])],
    outputs: [value('y', 'float32', ['rows', 4])],
    initializers: [initializer('W', 'float32', [4, 4], Array(16).fill(0.5))],
    nodes: [node('MatMul', ['x', 'W'], ['h']), node('Nonesuch', ['h'], ['y'])],
  });
  writeFileSync(inFolder('broken/model.onnx'), bytes);
  const { stderr, code } = await quantize('@broken', '--mode', 'dynamic');
  assert.equal(code, 1);
  assert.match(stderr, /the result does not load, and was not written: .*Nonesuch/);
  assert.deepEqual(readdirSync(inFolder('broken')), ['model.onnx']);
});

test('Ctrl+C leaves no half file: exit code 130, and a line', async () => {
  mkdirSync(inFolder('large'));
  const layers = Array.from({ length: 6 }, (_, i) => `W${i}`);
  const bytes = model({
    name: 'g',
    inputs: [value('x', 'float32', ['rows', 1024])],
    outputs: [value('h6', 'float32', ['rows', 1024])],
    initializers: layers.map((name) => initializer(name, 'float32', [1024, 1024], new Float32Array(2 ** 20).fill(0.5))),
    nodes: layers.map((name, i) => node('MatMul', [i === 0 ? 'x' : `h${i}`, name], [`h${i + 1}`])),
  });
  writeFileSync(inFolder('large/model.onnx'), bytes);
  for (const step of ['quantizing', 'writing', 'loading the result']) {
    rmSync(inFolder('large/model.dynamic.onnx'), { force: true });
    const child = spawn(process.execPath, [PROGRAM, 'quantize', inFolder('large'), '--mode', 'dynamic'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    for await (const chunk of child.stderr) {
      stderr += chunk;
      if (stderr.includes(step) && !child.killed) child.kill('SIGINT');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 130, `${step}: ${stderr}`);
    assert.match(stderr, /^onnx-cloud-run: interrupted$/m);
    const files = readdirSync(inFolder('large'));
    const isWhole = step === 'loading the result';
    // At that step the file is complete.
    assert.deepEqual(
      files.filter((name) => name !== 'model.dynamic.onnx' || !isWhole),
      ['model.onnx'],
      step,
    );
  }
});

test('a reader that ends early is no error, and the help text has the exit codes', async () => {
  const { stderr } = await run('bash', [
    '-c',
    `set -o pipefail; "$0" "$1" quantize "$2" --mode float16 --output "$3" --json | head -c 1`,
    process.execPath,
    PROGRAM,
    inFolder('iris'),
    inFolder('pipe.onnx'),
  ]);
  assert.equal(stderr, '');
  const { stdout } = await quantize('--help');
  assert.match(stdout, /\nExamples:\n(.*\n)+\nExit codes: 0 if /);
  assert.equal(readFileSync(join(ROOT, 'docs/tools/quantize.md'), 'utf8').includes('onnx-cloud-run quantize'), true);
});
