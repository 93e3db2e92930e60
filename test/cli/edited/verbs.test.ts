/** What optimize and prune have in common for a new user: wrong arguments, files that are no models, Ctrl-C, pipes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { buildIfNeeded } from '../../../scripts/build-if-needed.ts';
import { layers } from '../../helpers/large-weights.ts';
import { run } from '../../system/program.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PROGRAM = join(ROOT, 'dist/cli.js');
buildIfNeeded('ctimeMs');
const IRIS = join(ROOT, 'models/iris');
const cli = (...args: string[]) => run(process.execPath, [PROGRAM, ...args]);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verbs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

for (const verb of ['optimize', 'prune']) {
  describe(verb, () => {
    test('writes the result beside the model, and says what it costs and that the outputs are the same', async () => {
      cpSync(IRIS, at('iris'), { recursive: true });
      const { stdout, stderr, code } = await cli(verb, at('iris'));
      assert.equal(code, 0, stderr);
      const name = `model.${verb === 'prune' ? 'pruned' : 'optimized'}.onnx`;
      assert.match(stdout, new RegExp(`^wrote ${at('iris')}/${name}: 3 nodes, before 3\n`));
      assert.match(stdout, /\nloads in .*s, before in .*s/);
      assert.match(stdout, /\n {2}size +354 bytes +\d+ bytes/);
      assert.match(stdout, /\n {2}probabilities +0 +0 +0\n/);
      assert.match(stdout, /\nthe same class for 6 of 6 rows \(100\.0 %\), by output label\n/);
      assert.match(stdout, /\nthe rows are from golden\.json\n$/);
      assert.match(stderr, /^[ -~\n]+$/, 'no colours and no bar where there is no terminal');
      assert.deepEqual(readdirSync(at('iris')).sort(), [...readdirSync(IRIS), name].sort());
    });

    test('prints one JSON document with --json, and nothing else', async () => {
      const { stdout, stderr, code } = await cli(verb, join(IRIS, 'model.onnx'), '-o', at('new.onnx'), '--json');
      assert.deepEqual([code, stderr], [0, '']);
      const { file, loads, comparison, rowsFrom } = JSON.parse(stdout);
      assert.deepEqual([file, rowsFrom, comparison.rows], [at('new.onnx'), 'golden.json', 6]);
      assert.ok(loads.original.loadMs > 0 && loads.result.loadMs > 0);
    });

    const WRONG: [title: string, args: () => string[], code: number, line: RegExp][] = [
      ['no argument', () => [], 2, /missing required argument 'model'/],
      ['an unknown option', () => ['model.onnx', '--fast'], 2, /unknown option '--fast'/],
      ['a tolerance above 1', () => ['model.onnx', '--tolerance', '2'], 2, /It takes a number from 0 to 1\./],
      ['a file that does not exist', () => [at('none.onnx')], 1, /none\.onnx: no such file or folder/],
      ['a text file', () => [at('text.onnx')], 1, /text\.onnx: expected an ONNX model, but found text: "hello"/],
      ['a file that is cut short', () => [at('cut.onnx')], 1, /cut\.onnx: expected an ONNX model, but it is cut short/],
      ['another kind of file', () => [at('text.txt')], 1, /a model is a file whose name ends in \.onnx, or a folder/],
      ['a folder without a model', () => [at('empty')], 1, /expected model\.onnx in it/],
      ['an address', () => ['gs://bucket/model.onnx'], 1, /expected a model on this machine/],
      ['a result that exists', () => [at('good.onnx'), '-o', at('cut.onnx')], 1, /it exists: add --force/],
      ['samples that do not exist', () => [at('good.onnx'), '--samples', at('none.csv')], 1, /none\.csv: no such file/],
    ];
    // They are the same for both, so that the first of each kind is enough for one of them.
    const isFirst = ([, , code]: (typeof WRONG)[number], at: number) =>
      WRONG.findIndex((one) => one[2] === code) === at;
    for (const [title, args, code, line] of verb === 'prune' ? WRONG : WRONG.filter(isFirst)) {
      test(`${title} is one line that helps, with exit code ${code}, and nothing is written`, async () => {
        writeFileSync(at('text.onnx'), 'hello');
        writeFileSync(at('text.txt'), 'hello');
        writeFileSync(at('cut.onnx'), layers().subarray(0, 9000));
        writeFileSync(at('good.onnx'), layers());
        mkdirSync(at('empty'));
        const before = readdirSync(folder);
        const ran = await cli(verb, ...args());
        assert.deepEqual([ran.code, ran.stdout], [code, '']);
        assert.match(ran.stderr, line);
        assert.match(ran.stderr.trimEnd().split('\n').at(-1)!, /^onnx-cloud-run: /);
        assert.deepEqual(readdirSync(folder), before);
      });
    }

    test('Ctrl-C is one line and exit code 130, and leaves no file', async () => {
      writeFileSync(at('model.onnx'), layers());
      const child = spawn(process.execPath, [PROGRAM, verb, at('model.onnx')], { stdio: ['ignore', 'pipe', 'pipe'] });
      let written = '';
      for await (const chunk of child.stderr.setEncoding('utf8')) {
        written += chunk;
        // The result is complete, and is compared.
        if (/\ncomparing over/.test(written) && !child.killed) child.kill('SIGINT');
      }
      if (child.exitCode === null) await once(child, 'exit');
      assert.equal(child.exitCode, 130, written);
      assert.match(written, /\nonnx-cloud-run: interrupted\n$/);
      assert.deepEqual(readdirSync(folder), ['model.onnx']);
    });

    test('a reader of the report that ends early is no error', async () => {
      const script = '"$0" "$1" "$2" "$3" -o "$4" | head -c 0';
      const { stderr } = await run('bash', ['-c', script, process.execPath, PROGRAM, verb, IRIS, at('new.onnx')]);
      assert.doesNotMatch(stderr, /Error|EPIPE|at .*\.ts/);
    });
  });
}

test('optimize refuses what only this machine would run before it begins, as wrong usage', async () => {
  const { stderr, code } = await cli('optimize', IRIS, '--prepacked', '-o', at('new.onnx'));
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^onnx-cloud-run: --prepacked makes a model that only machines like this one run: add --this-machine/,
  );
});

test('optimize --level takes its levels alone', async () => {
  const { stderr, code } = await cli('optimize', IRIS, '--level', 'most');
  assert.equal(code, 2);
  assert.match(stderr, /Allowed choices are basic, extended, all/);
});

test('prune --outputs drops an output, and names those that the model has', async () => {
  const { stdout, code } = await cli('prune', IRIS, '--outputs', 'probabilities', '-o', at('new.onnx'));
  assert.equal(code, 0);
  assert.match(stdout, /\nremoved 1 output, 1 unused node\n/);
  const refused = await cli('prune', IRIS, '--outputs', 'label,none', '-o', at('other.onnx'));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /expected some of its outputs \(label, probabilities\), got none\n$/);
});

test('prune --sparsity reports zeros and compressed sizes, claims no speed, and obeys --tolerance', async () => {
  writeFileSync(at('model.onnx'), layers());
  const { stdout, code } = await cli('prune', at('model.onnx'), '--sparsity', '0.5');
  assert.equal(code, 0);
  assert.match(stdout, /\n50\.0 % of 129,024 weights in 2 tensors are zero\n/);
  assert.match(stdout, /\ncompressed by gzip: .*, before .*\. Runs are not faster: the zeros are multiplied too\n/);
  const refused = await cli(
    'prune',
    at('model.onnx'),
    '--sparsity',
    '0.9',
    '--tolerance',
    '0.001',
    '-o',
    at('new.onnx'),
  );
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /new\.onnx was not written: .*the tolerance is/);
  assert.deepEqual(readdirSync(folder).sort(), ['model.onnx', 'model.pruned.onnx']);
});
