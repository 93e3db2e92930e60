import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERBS } from '../../functions/cli/program.ts';
import { readPage, table } from '../helpers/readme.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'functions/cli/main.ts');
const cli = (...args: string[]) => run(process.execPath, [PROGRAM, ...args]);

test('--help names every verb, and `help VERB` is the help text of a verb', async () => {
  const { stdout, stderr, code } = await cli('--help');
  assert.deepEqual([code, stderr], [0, '']);
  for (const { name, summary } of VERBS) assert.match(stdout, new RegExp(`^  ${name} .* ${summary}$`, 'm'));
  const [byHelp, byOption] = await Promise.all([cli('help', 'serve'), cli('serve', '--help')]);
  assert.deepEqual(byHelp, byOption);
  assert.match(byHelp.stdout, /^Usage: onnx-cloud-run serve \[options\] \[model\]\n/);
  assert.match(byHelp.stdout, /\nExamples:\n/);
});

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.deepEqual(await cli('--version'), { stdout: `${version}\n`, stderr: '', code: 0 });
});

const WRONG: [args: string[], line: RegExp][] = [
  [['surve'], /^onnx-cloud-run: unknown command 'surve' \(Did you mean serve\?\)\n$/],
  [
    ['model.onnx'],
    /^onnx-cloud-run: unknown command 'model\.onnx'\. To serve a model: onnx-cloud-run serve model\.onnx\n$/,
  ],
  [['gs://bucket/m', '--open'], /^onnx-cloud-run: .* To serve a model: onnx-cloud-run serve gs:\/\/bucket\/m\n$/],
  [['help', 'surve'], /^onnx-cloud-run: unknown command 'surve': the commands are serve, init, doctor\b.*\n$/],
  [['serve', '--prt', '1'], /^onnx-cloud-run: unknown option '--prt' \(Did you mean --port\?\)\n$/],
  [['serve', '--port'], /^onnx-cloud-run: option '-p, --port <port>' argument missing\n$/],
  [['serve', '--port', 'x'], /^onnx-cloud-run: .* argument 'x' is invalid\. It takes a port, 0 to 65535.*\n$/],
  [['serve', '--host', 'a b'], /^onnx-cloud-run: .* argument 'a b' is invalid\. It takes an address, .*\n$/],
  [['doctor'], /^onnx-cloud-run: missing required argument 'model'; examples: onnx-cloud-run doctor --help\n$/],
  [['loadtest'], /^onnx-cloud-run: missing required argument 'url'; examples: onnx-cloud-run loadtest --help\n$/],
  [['quantize', 'a'], /^onnx-cloud-run: required option .* not specified; examples: onnx-cloud-run quantize --help\n$/],
  [['serve', 'a', 'b'], /^onnx-cloud-run: too many arguments for 'serve'.*\n$/],
];
for (const [args, line] of WRONG) {
  test(`wrong usage is one line on stderr and exit code 2: ${args.join(' ')}`, async () => {
    const { stdout, stderr, code } = await cli(...args);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, line);
  });
}

test('without a verb it prints its help text on stderr, with exit code 2', async () => {
  const { stdout, stderr, code } = await cli();
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^Usage: onnx-cloud-run /);
});

test('no line of a help text is wider than a terminal of 100 columns', async () => {
  for (const { name } of VERBS) {
    const { stdout } = await cli('help', name);
    assert.deepEqual(
      stdout.split('\n').filter((line) => line.length > 100),
      [],
      name,
    );
  }
});

test('a reader of the help text that ends early is no error', async () => {
  const { stderr } = await run('bash', [
    '-c',
    `set -o pipefail; "$0" "$1" help serve | head -c 1`,
    process.execPath,
    PROGRAM,
  ]);
  assert.equal(stderr, '');
});

test('docs/cli.md has a row for each verb, and for each option of serve', async () => {
  const page = readPage('docs/cli.md');
  for (const { name } of VERBS)
    assert.ok(
      table(page, 'verb').some(([cell]) => cell!.includes(`\`${name}`)),
      name,
    );
  const { stdout } = await cli('help', 'serve');
  const options = Array.from(stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm), ([, option]) => option!);
  const documented = table(page, 'option').map(([cell]) => /--[\w-]+/.exec(cell!)?.[0]);
  assert.deepEqual(
    documented,
    options.filter((option) => option !== '--help'),
  );
});
