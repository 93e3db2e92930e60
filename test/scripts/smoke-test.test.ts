import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type ModelStub, startModelStub } from '../helpers/model-stub.ts';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const GOLDEN = join(ROOT, 'models/iris/golden.json');
const AUDIENCE = 'https://ml-model-abc-uc.a.run.app';

let stub: ModelStub;
let folder: string;
beforeEach(async () => {
  stub = await startModelStub();
  folder = mkdtempSync(join(tmpdir(), 'smoke-'));
});
afterEach(async () => {
  await stub.close();
  rmSync(folder, { recursive: true });
});

/** Its exit code, and its lines. */
async function smoke(args: readonly string[] = [], env: Record<string, string> = {}) {
  const script = join(ROOT, 'scripts/smoke-test.ts');
  const { stdout, stderr, code } = await run(process.execPath, [script, stub.url, '--golden', GOLDEN, ...args], {
    GCE_METADATA_HOST: new URL(stub.url).host,
    ...env,
  });
  return { code, lines: stdout.trimEnd().split('\n'), stderr };
}

function golden(rows: unknown[]): string {
  const file = join(folder, 'golden.json');
  writeFileSync(file, JSON.stringify({ tolerance: 1e-4, rows }));
  return file;
}

test('a server that gives every golden row passes with a line for each, and exit code 0', async () => {
  const { code, lines, stderr } = await smoke();
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    lines.slice(1),
    Array.from({ length: 6 }, (_, i) => `ok      row ${i}: label, probabilities`),
  );
  assert.match(lines[0]!, /^ok {6}ready: 200 /);
});

test('a row that comes out beyond the tolerance fails, its line says where and by how much, and the others are still tried', async () => {
  stub.change = (outputs) => {
    if (outputs.label === 1) outputs.probabilities = [0.1575, 0.831237, 0.01169];
    return outputs;
  };
  const { code, lines } = await smoke();
  assert.equal(code, 1);
  assert.equal(lines.length, 7);
  assert.match(
    lines[3]!,
    /^FAILED {2}row 2: outputs\.probabilities: element 0 came out as 0\.1575, expected 0\.157072/,
  );
  assert.match(lines[3]!, /off by 0\.000428, tolerance 0\.0001$/);
  assert.match(lines[6]!, /^ok {6}row 5/);
});

test('what is within the tolerance passes', async () => {
  stub.change = ({ probabilities, ...outputs }) => ({
    ...outputs,
    probabilities: (probabilities as number[]).map((value) => value + 0.00009),
  });
  assert.equal((await smoke()).code, 0);
});

test('a response without an output, with another shape or of another type fails', async () => {
  const broken: [ModelStub['change'], RegExp][] = [
    [({ label }) => ({ label }), /outputs\.probabilities: expected in the response, which has label/],
    [(outputs) => ({ ...outputs, probabilities: [0.1, 0.9] }), /outputs\.probabilities: expected .*3/],
    [(outputs) => ({ ...outputs, label: 'setosa' }), /outputs\.label: expected a number/],
  ];
  for (const [change, message] of broken) {
    stub.change = change;
    const { code, lines } = await smoke();
    assert.equal(code, 1);
    assert.match(lines[1]!, message);
  }
});

test('integers beyond 2^53 are sent with all their digits', async () => {
  const file = join(folder, 'golden.json');
  writeFileSync(file, '{"rows":[{"features":[9007199254740993],"outputs":{"label":1}}]}');
  stub.change = () => ({ label: 1 });
  assert.equal((await smoke(['--golden', file])).code, 0);
  assert.deepEqual(stub.bodies, ['{"features":[9007199254740993]}']);
});

test('of a folder of models it sends the golden rows of the model and version that are served', async () => {
  const named = join(folder, 'iris');
  const places: [models: string, place: string, manifest?: object][] = [
    [join(folder, 'versions'), 'iris/1'],
    [join(folder, 'zeros'), 'iris/001'],
    [join(folder, 'models'), 'iris', { version: '1' }],
    [join(folder, 'other-name'), 'flowers', { name: 'iris' }],
    [named, '.'],
  ];
  for (const [models, place, manifest] of places) {
    for (const other of ['other', 'iris/2']) {
      mkdirSync(join(models, other), { recursive: true });
      writeFileSync(join(models, other, 'golden.json'), 'of another model or version');
    }
    mkdirSync(join(models, place), { recursive: true });
    cpSync(GOLDEN, join(models, place, 'golden.json'));
    if (manifest !== undefined) writeFileSync(join(models, place, 'model.json'), JSON.stringify(manifest));
    const { code, lines } = await smoke(['--golden', models]);
    assert.deepEqual([code, lines.length], [0, 7], lines.join('\n'));
  }
});

test('a model without golden rows gets the example of its OpenAPI document, with all digits, and the error if it fails', async () => {
  stub.description = '{"example":{"features":[9007199254740993]}}';
  const passed = await smoke(['--golden', folder]);
  assert.equal(passed.code, 0, passed.lines.join('\n'));
  assert.deepEqual(stub.bodies, ['{"features":[9007199254740993]}']);
  stub.description = '{}';
  const { code, lines } = await smoke(['--golden', folder]);
  assert.equal(code, 1);
  assert.match(
    lines[1]!,
    /^FAILED {2}example, .*: \/openapi\.json shows no example, .*: add golden\.json to the model$/,
  );
});

test('it waits for a server that is not ready, and sends no row before it is', async () => {
  stub.notReady = [{ status: 503, body: '{"error":"loading"}' }];
  assert.equal((await smoke()).code, 0);
  assert.deepEqual(stub.paths.slice(0, 3), ['/ready', '/ready', '/predict']);
});

test('a server that is not ready in time fails with its last response, and no row is sent', async () => {
  stub.notReady = new Array(100).fill({ status: 503, body: '{"error":"holds 3 models: set MODEL_NAME"}' });
  const { code, lines } = await smoke(['--wait', '1']);
  assert.equal(code, 1);
  assert.deepEqual(lines, ['FAILED  ready: not ready after 1 s: 503 {"error":"holds 3 models: set MODEL_NAME"}']);
});

test('with --audience a private server gets a token for that audience, from the metadata server', async () => {
  stub.audience = AUDIENCE;
  const { code, lines } = await smoke(['--audience', AUDIENCE]);
  assert.equal(code, 0, lines.join('\n'));
  assert.equal(lines[0], 'ok      identity token');
});

test('IDENTITY_TOKEN is the token where it is given', async () => {
  stub.audience = AUDIENCE;
  const { code } = await smoke([], { IDENTITY_TOKEN: `token-for-${AUDIENCE}` });
  assert.equal(code, 0);
  assert.ok(stub.paths.every((path) => !path.startsWith('/computeMetadata')));
});

test('the error of an account that may not call the server, or get a token, names the role that it needs', async () => {
  stub.audience = AUDIENCE;
  const refused = await smoke(['--wait', '1', '--audience', 'https://another']);
  assert.equal(refused.code, 1);
  assert.match(refused.lines[1]!, /^FAILED {2}ready: .*403 .*roles\/run\.invoker/);
  stub.tokens = false;
  const without = await smoke(['--audience', AUDIENCE]);
  assert.equal(without.code, 1);
  assert.match(without.lines[0]!, /^FAILED {2}identity token: .*403.*roles\/iam\.serviceAccountOpenIdTokenCreator/);
});

test('bad arguments and a bad golden.json end it with what it expects', async () => {
  const bad: [string[], RegExp, number][] = [
    [['--wait', 'soon'], /--wait takes seconds, got soon; --help/, 2],
    [['http://another'], /unexpected argument "http:\/\/another"; --help/, 2],
    [['--golden', join(folder, 'nowhere.json')], /no such file/, 1],
    [['--golden', golden([])], /golden\.json: rows: /, 1],
  ];
  for (const [args, message, expected] of bad) {
    const { code, stderr } = await smoke(args);
    assert.equal(code, expected);
    assert.match(stderr, message);
  }
});
