import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type ModelStub, startModelStub } from '../helpers/model-stub.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const IRIS = join(ROOT, 'models/iris');
const GOLDEN = join(IRIS, 'golden.json');
const AUDIENCE = 'https://ml-model-abc-uc.a.run.app';
const program = [join(ROOT, 'functions/cli/main.ts'), 'golden'];
const golden = (args: readonly string[], env: Record<string, string> = {}) =>
  run(process.execPath, [...program, ...args], env);

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'golden-verb-'));
});
after(() => rmSync(folder, { recursive: true }));

describe('golden MODEL ROWS', () => {
  test('writes golden.json beside the model, says what it has, and replaces it only with --force', async () => {
    const iris = join(folder, 'iris');
    mkdirSync(iris);
    cpSync(join(IRIS, 'model.onnx'), join(iris, 'model.onnx'));
    cpSync(join(IRIS, 'model.json'), join(iris, 'model.json'));
    const rows = join(folder, 'rows.csv');
    writeFileSync(rows, 'petal_width,petal_length,sepal_width,sepal_length\n0.2,1.4,3.5,5.1\n1,3.3,2.4,4.9\n');
    const file = join(iris, 'golden.json');
    const made = await golden([iris, rows]);
    assert.deepEqual([made.code, made.stderr], [0, 'running the rows\n']);
    assert.equal(
      made.stdout.replace(/\d+ bytes/, '260 bytes'),
      `${file}: 2 of 2 rows of ${rows}, 260 bytes
tolerance 0.0001: the largest difference, relative to values above 1

  output         dtype    runs of a row  joined with other rows
  label          int64    equal          equal
  probabilities  float32  equal          equal
`,
    );
    const written = readFileSync(file, 'utf8');
    assert.match(written, /\{"features":\[5\.1,3\.5,1\.4,0\.2\],"outputs":\{"label":0,"probabilities":\[0\.97/);
    writeFileSync(file, 'mine');
    const refused = await golden([join(iris, 'model.onnx')]);
    assert.deepEqual(refused, {
      code: 1,
      stdout: '',
      stderr: `onnx-cloud-run: ${file} exists: --force replaces it, --output writes another file\n`,
    });
    assert.equal(readFileSync(file, 'utf8'), 'mine');
    const forced = await golden([iris, '--force', '--json', '--tolerance', '0.01']);
    const { from, rows: count, tolerance } = JSON.parse(forced.stdout);
    assert.deepEqual([forced.code, forced.stderr, from, count, tolerance], [0, '', join(iris, 'model.json'), 1, 0.01]);
    assert.match(readFileSync(file, 'utf8'), /"tolerance": 0\.01,\n/);
  });

  const bad: [title: string, args: () => string[], line: RegExp, code: number][] = [
    [
      'a model of pictures',
      () => [join(ROOT, 'examples/image-classifier'), join(folder, 'rows.csv')],
      /image-classifier: golden makes rows of tensors, and callers of this model send pictures: write golden\.json /,
      1,
    ],
    ['no model', () => [], /^onnx-cloud-run: name the model: onnx-cloud-run golden model\.onnx rows\.csv\n$/, 2],
    [
      'a model that is not there',
      () => ['nowhere.onnx'],
      /^onnx-cloud-run: nowhere\.onnx: no such file or folder\n$/,
      1,
    ],
    [
      'a file of another kind',
      () => [GOLDEN],
      /golden\.json: a model is a file whose name ends in \.onnx, or a folder\n$/,
      1,
    ],
    [
      'no rows',
      () => [join(folder, 'bare')],
      /there are no rows: give a CSV or NDJSON file of rows, or an example in model\.json\n$/,
      1,
    ],
    [
      'rows that are not there',
      () => [IRIS, 'nowhere.csv', '-o', join(folder, 'x.json')],
      /nowhere\.csv: no such file or folder\n$/,
      1,
    ],
    [
      'a folder of rows',
      () => [IRIS, folder, '-o', join(folder, 'x.json')],
      /: expected a file of samples, \.csv, /,
      1,
    ],
    [
      'a folder that is not there to write to',
      () => [IRIS, '-o', join(folder, 'nowhere/x.json')],
      /nowhere\/x\.json: its folder does not exist\n$/,
      1,
    ],
    [
      'a count that is none',
      () => [IRIS, '--count', '0'],
      /argument '0' is invalid\. It takes an integer from 1 to 1000\.\n$/,
      2,
    ],
    ['a token without --check', () => [IRIS, '--token-file', 'x'], /--token-file needs --check URL\n$/, 2],
  ];
  for (const [title, args, line, code] of bad) {
    test(`with ${title} is one line that helps, and exit code ${code}`, async () => {
      mkdirSync(join(folder, 'bare'), { recursive: true });
      cpSync(join(IRIS, 'model.onnx'), join(folder, 'bare/model.onnx'));
      const { code: got, stdout, stderr } = await golden(args());
      assert.deepEqual([got, stdout], [code, '']);
      assert.match(stderr, line);
      assert.match(stderr, /^(running the rows\n)?[^\n]+\n$/);
      assert.ok(!existsSync(join(folder, 'x.json')));
    });
  }
});

describe('golden --check URL', () => {
  let stub: ModelStub;
  beforeEach(async () => {
    stub = await startModelStub();
  });
  afterEach(() => stub.close());
  const check = (args: readonly string[] = [GOLDEN]) =>
    golden([...args, '--check', stub.url], { GCE_METADATA_HOST: new URL(stub.url).host });

  test('says that all rows came out right, with exit code 0', async () => {
    const { code, stdout, stderr } = await check();
    assert.deepEqual([code, stdout], [0, `${stub.url} (iris 1): 6 of 6 rows came out right, tolerance 0.0001\n`]);
    assert.equal(stderr, `waiting for ${stub.url}\nsending the rows\n`);
  });

  test('lists the rows that differ, with where and by how much, and exit code 1', async () => {
    stub.change = (outputs) => (outputs.label === 1 ? { ...outputs, probabilities: [0.5, 0.25, 0.25] } : outputs);
    const { code, stdout } = await check();
    assert.equal(code, 1);
    const lines = stdout.split('\n');
    assert.match(
      lines[0]!,
      /^FAILED {2}row 2: outputs\.probabilities: element 0 came out as 0\.5, expected 0\.157072, off by 0\.343, tolerance 0\.0001$/,
    );
    assert.match(lines[1]!, /^FAILED {2}row 3: /);
    assert.equal(lines[2], `${stub.url} (iris 1): 4 of 6 rows came out right, tolerance 0.0001`);
    const { failed, rows } = JSON.parse((await check([GOLDEN, '--json'])).stdout);
    assert.deepEqual([rows, failed.map(({ row }: { row: number }) => row)], [6, [2, 3]]);
  });

  test('sends a token that is given, that of a file, or an identity token for the address', async () => {
    stub.audience = AUDIENCE;
    const file = join(folder, 'token');
    writeFileSync(file, `token-for-${AUDIENCE}\n`);
    for (const args of [
      ['--token', `token-for-${AUDIENCE}`],
      ['--token-file', file],
      ['--identity-token', AUDIENCE],
    ]) {
      const { code, stdout } = await check([GOLDEN, ...args]);
      assert.equal(code, 0, stdout);
    }
    stub.audience = stub.url;
    assert.equal((await check([GOLDEN, '--identity-token'])).code, 0);
    writeFileSync(file, '');
    const { code, stderr } = await check([GOLDEN, '--token-file', file]);
    assert.deepEqual([code, stderr], [1, `onnx-cloud-run: ${file}: expected a token, and it is empty\n`]);
  });

  test('sends the rows to the path of a named model, once it does not answer with 503', async () => {
    assert.equal((await check([GOLDEN, '--model', 'iris/eu'])).code, 0);
    assert.deepEqual(new Set(stub.paths), new Set(['/models/iris%2Feu/predict']));
  });

  test('of a server that is not ready, or cannot be reached, is one line with the reason', async () => {
    stub.notReady = new Array(100).fill({ status: 503, body: '{"error":"loading"}' });
    const late = await check([GOLDEN, '--wait', '2']);
    assert.equal(late.code, 1);
    assert.match(late.stderr, /\nonnx-cloud-run: not ready after 2 s: 503 \{"error":"loading"\}\n$/);
    const gone = await startModelStub();
    await gone.close();
    const nowhere = await golden([GOLDEN, '--check', gone.url, '--wait', '2']);
    assert.equal(nowhere.code, 1);
    assert.match(
      nowhere.stderr,
      /\nonnx-cloud-run: not ready after 2 s: 127\.0\.0\.1:\d+: nothing listens there: .*\n$/,
    );
    for (const [args, line] of [
      [['--check', 'localhost:8080'], /--check: expected a URL with http:\/\/ or https:\/\/, got localhost:8080\n$/],
      [['a.onnx', 'b.csv', '--check', stub.url], /--check takes the golden rows, and no file of rows\n$/],
    ] as const) {
      const { code, stderr } = await golden(args);
      assert.equal(code, 2);
      assert.match(stderr, line);
    }
  });
});
