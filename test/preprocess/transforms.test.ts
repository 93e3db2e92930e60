import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { ALL_ROWS } from '../../functions/engine/batcher.ts';
import { ServingError } from '../../functions/errors.ts';
import type { EngineOptions, Generation } from '../../functions/model/serving/generation.ts';
import { loadGeneration } from '../../functions/model/serving/load-generation.ts';
import { predictTensors } from '../../functions/model/serving/predict-tensors.ts';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { type JsonValue, readJson } from '../../functions/tensor/json/reader.ts';
import { engineOptions } from '../helpers/engine-options.ts';
import { localFiles } from '../helpers/local-models.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';

const folder = mkdtempSync(join(tmpdir(), 'transforms-'));
after(() => rmSync(folder, { recursive: true }));

interface Files {
  readonly bytes?: Uint8Array;
  readonly name?: string;
  readonly code: string;
  /** The file is a link to this one. */
  readonly linked?: string;
  readonly manifest?: object;
  readonly golden?: object;
  readonly others?: Readonly<Record<string, string>>;
}

/** `y` float32 [M,1] = 2 `x`, float32 [N,M], for one row: as a detector gives as many rows as it finds. */
const valuesAsRows = (): Uint8Array =>
  model({
    name: 'values-as-rows',
    nodes: [node('Add', ['x', 'x'], ['sum']), node('Reshape', ['sum', 'shape'], ['y'])],
    initializers: [initializer('shape', 'int64', [2], [-1, 1])],
    inputs: [value('x', 'float32', ['N', 'M'])],
    outputs: [value('y', 'float32', ['K', 1])],
  });

type Loaded = Generation & { readonly restarts: string[]; readonly path: string };

async function load(
  t: TestContext,
  { bytes = identity(), name = 'transform.ts', code, linked, manifest, golden, others = {} }: Files,
  options: Partial<EngineOptions> = {},
): Promise<Loaded> {
  const own = t.name.replaceAll(/\W+/g, '-').slice(0, 80);
  const files = await localFiles(writeModel(folder, own, bytes, manifest, golden));
  const path = join(dirname(files.path), name);
  if (linked === undefined) writeFileSync(path, code);
  else if (!existsSync(path)) symlinkSync(linked, path);
  for (const [other, content] of Object.entries(others)) {
    mkdirSync(dirname(join(dirname(path), other)), { recursive: true });
    writeFileSync(join(dirname(path), other), content);
  }
  const telemetry = recordTelemetry();
  const preparation = { kind: 'code', path, place: `models/${own}/${name}`, stamps: undefined } as const;
  const generation = await loadGeneration({ ...files, preparation }, engineOptions(options), telemetry, () => {});
  t.after(() => generation.close());
  const restarts = (): string[] =>
    telemetry.lines.map(({ message }) => message).filter((text) => /was lost/.test(text));
  return {
    ...generation,
    path,
    get restarts() {
      return restarts();
    },
  };
}

/** The first output of a row: the value of a JSON text, or the elements. */
async function predict(generation: Generation, features: JsonValue): Promise<unknown> {
  const [outcome] = await generation.predict(generation.rows.decode(features, 'features'), { cancelled: false });
  if ('error' in outcome!) throw outcome.error;
  const { data } = outcome!.outputs[0]!;
  return generation.signature.outputs[0]!.json
    ? JSON.parse(data[outcome!.first] as string)
    : Array.from(data as Float32Array);
}

const refusal =
  (code: string, message: RegExp, detail?: RegExp, path?: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ServingError);
    assert.deepEqual([error.code, error.path], [code, path]);
    assert.match(error.message, message);
    if (detail !== undefined) assert.match(error.detail ?? '', detail);
    return true;
  };

const ECHO = `
import { InvalidInput, type Postprocess, type Preprocess } from 'onnx-cloud-run/transform';
export const preprocess: Preprocess<{ n?: unknown }> = ({ n }) => {
  if (typeof n !== 'number') throw new InvalidInput('n: expected a number', 'features.n');
  return { x: [n, n + 1, n + 2, n + 3] };
};
export const postprocess: Postprocess = ({ y }, { body }) => ({ sum: Array.from(y!.data as Float32Array).reduce((a, b) => a + b), n: body.n });
`;

test('preprocess makes the inputs of any JSON, and postprocess any JSON of the outputs', async (t) => {
  const golden = { rows: [{ features: { n: 2 }, outputs: { result: { sum: 14, n: 2 } } }] };
  const generation = await load(t, { code: ECHO, manifest: { example: { features: { n: 1 } } }, golden });
  assert.deepEqual(generation.signature, {
    inputs: [{ name: 'features', dtype: 'string', shape: [-1], json: true }],
    outputs: [{ name: 'result', dtype: 'string', shape: [-1], json: true }],
  });
  assert.deepEqual(await predict(generation, { n: 10 }), { sum: 46, n: 10 });
});

test('a golden row whose answer differs is not served', async (t) => {
  const golden = { rows: [{ features: { n: 2 }, outputs: { result: { sum: 14.1, n: 2 } } }] };
  await assert.rejects(
    load(t, { code: ECHO, golden }),
    refusal('MODEL_FAILED', /^golden\.json: rows\[0\]\.outputs\.result: sum: came out as 14, expected 14\.1/),
  );
});

test('rows of 64 requests share runs, and each gets its own answer', async (t) => {
  const generation = await load(t, { code: ECHO });
  const rows = Array.from({ length: 64 }, (_, n) => n);
  const answers = await Promise.all(rows.map((n) => predict(generation, { n })));
  assert.deepEqual(
    answers,
    rows.map((n) => ({ sum: 4 * n + 6, n })),
  );
});

test('InvalidInput is the error of the caller; any other error is told to the log alone', async (t) => {
  const code = `${ECHO}
export function postprocess2() {}
`.replace('return { x:', 'if (n === 13) (undefined as any).secret; return { x:');
  const generation = await load(t, { code });
  await assert.rejects(
    predict(generation, { n: 'ten' }),
    refusal('INVALID_INPUT', /^n: expected a number$/, undefined, 'features.n'),
  );
  await assert.rejects(
    predict(generation, { n: 13 }),
    refusal(
      'MODEL_FAILED',
      /^the model's transform\.ts failed on this input: the server's log says why$/,
      /^transform\.ts:5: TypeError: Cannot read properties of undefined/,
    ),
  );
  assert.deepEqual(await predict(generation, { n: 0 }), { sum: 6, n: 0 });
  assert.deepEqual(generation.restarts, []);
});

test('a row that never ends is killed at the deadline, and only it fails', async (t) => {
  const code = ECHO.replace('return { x:', 'while (n === 13); return { x:');
  const generation = await load(t, { code }, { runTimeoutMs: 1000 });
  const [endless, ...others] = await Promise.allSettled([13, 1, 2, 3].map((n) => predict(generation, { n })));
  assert.equal(endless!.status, 'rejected');
  refusal(
    'DEADLINE',
    /^the model's transform\.ts did not finish: the run took longer than 1000 ms$/,
  )((endless as PromiseRejectedResult).reason);
  assert.deepEqual(
    others.map((one) => (one as PromiseFulfilledResult<unknown>).value),
    [1, 2, 3].map((n) => ({ sum: 4 * n + 6, n })),
  );
});

for (const [what, code] of [
  ['ends its process', 'if (n === 13) process.exit(3);'],
  ['leaves a rejection unhandled', 'if (n === 13) { Promise.reject(new Error("lost")); await new Promise(() => {}); }'],
  ['takes all of its memory', 'if (n === 13) for (const all = []; ; ) all.push(new Array(1e5).fill(n));'],
] as const) {
  test(`a row that ${what} fails alone, and the process is replaced`, async (t) => {
    const own = ECHO.replace('= ({ n })', '= async ({ n })').replace('return { x:', `${code} return { x:`);
    const generation = await load(t, { code: own }, { capacity: { cpus: 1, memoryBytes: 2 ** 29 } });
    const [fatal, ...others] = await Promise.allSettled([13, 1, 2].map((n) => predict(generation, { n })));
    assert.equal(fatal!.status, 'rejected');
    refusal(
      'MODEL_FAILED',
      /^the model's transform\.ts did not finish: its process ended$/,
    )((fatal as PromiseRejectedResult).reason);
    assert.deepEqual(
      others.map((one) => (one as PromiseFulfilledResult<unknown>).value),
      [1, 2].map((n) => ({ sum: 4 * n + 6, n })),
    );
    assert.match(generation.restarts[0]!, /^a process that prepares inputs was lost, and is replaced: /);
  });
}

test('without postprocess callers get the outputs, without preprocess they send tensors', async (t) => {
  const ahead = await load(t, {
    code: 'export const preprocess = (n: number) => ({ x: new Float32Array(4).fill(n) });',
  });
  assert.deepEqual(
    ahead.signature.outputs.map(({ name }) => name),
    ['y'],
  );
  assert.deepEqual(await predict(ahead, 3), [3, 3, 3, 3]);
  await ahead.close();
  const code = 'export const postprocess = ({ y }: any, { body }: any) => [y.dims, y.data, body === undefined];';
  const behind = await load(t, { code });
  assert.deepEqual(
    behind.signature.inputs.map(({ name }) => name),
    ['x'],
  );
  assert.deepEqual(await predict(behind, [1, 2, 3, 0.1]), [[1, 4], [1, 2, 3, 0.1], true]);
  const rows = behind.rows.decode([1, 2, 3, 4], 'features').tensors;
  const two = { tensors: [{ ...rows[0]!, dims: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) }], rows: 2 };
  const outcomes = await behind.predict(two, { cancelled: false });
  assert.deepEqual(
    outcomes.map((one) => ('outputs' in one ? one.outputs[0]!.data[0] : one.error)),
    ['[[1,4],[1,2,3,4],true]', '[[1,4],[5,6,7,8],true]'],
  );
});

test('postprocess gets all rows of a model that does not give one for each, and so do callers without it', async (t) => {
  // Its output has as many rows as the row has values: an axis that is not that of the rows.
  const bytes = valuesAsRows();
  const ahead = await load(t, { bytes, code: 'export const preprocess = (x: number[]) => ({ x });' });
  assert.equal(ahead.batching.enabled, false);
  assert.deepEqual(await predict(ahead, [1, 2, 3]), [2, 4, 6]);
  const feeds = ahead.rows.decode([1, 2], 'features');
  const [outcome] = await ahead.predict(feeds, { cancelled: false });
  assert.equal((outcome as { first: number }).first, ALL_ROWS);
  assert.deepEqual((await predictTensors(ahead, feeds.tensors, { cancelled: false }))[0]!.dims, [2, 1]);
  await ahead.close();
  const both = await load(t, {
    bytes,
    code: `export const preprocess = (x: number[]) => ({ x });
export const postprocess = ({ y }: any) => ({ dims: y.dims, values: y.data });`,
  });
  assert.deepEqual(await predict(both, [1, 2, 3]), { dims: [3, 1], values: [2, 4, 6] });
});

test('a value that has no JSON, and inputs that the model does not have, are faults of the file', async (t) => {
  const code = `export const preprocess = (what: string) => (what === 'input' ? { z: 1 } : what === 'shape' ? { x: [1, 2] } : { x: [1, 2, 3, 4] });
export const postprocess = (_: unknown, { body }: any) => (body === 'nothing' ? undefined : body);`;
  const generation = await load(t, { code });
  const told = /^the model's transform\.ts failed on this input/;
  for (const [what, detail] of [
    ['nothing', /^TypeError: postprocess: expected a value that JSON has, got undefined$/],
    ['input', /^TypeError: preprocess: the model has no input z; it has x$/],
    ['shape', /preprocess: x: expected 4 values, got 2$/],
  ] as const) {
    await assert.rejects(predict(generation, what), refusal('MODEL_FAILED', told, detail));
  }
  assert.equal(await predict(generation, 'fine'), 'fine');
});

test('of two rows of one request, one that postprocess refuses fails alone', async (t) => {
  const code = `import { InvalidInput } from 'onnx-cloud-run/transform';
export const postprocess = ({ y }: any) => { if (y.data[0] === 2) throw new InvalidInput('two'); return y.data[0]; };`;
  const generation = await load(t, { code });
  const x = { dtype: 'float32', dims: [3, 4], data: Float32Array.of(1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0) } as const;
  const outcomes = await generation.predict({ tensors: [x], rows: 3 }, { cancelled: false });
  assert.deepEqual(
    outcomes.map((one) => ('outputs' in one ? one.outputs[0]!.data[0] : one.error.message)),
    ['1', 'two', '3'],
  );
});

test('all digits of integers reach the code, and its bigints the caller', async (t) => {
  const code = `export const preprocess = () => ({ x: [1, 2, 3, 4] });
export const postprocess = (_: unknown, { body }: any) => ({ id: body.id + 1n, n: body.n, big: [2n ** 64n] });`;
  const generation = await load(t, { code });
  const features = readJson(Buffer.from('{"id":9007199254740993,"n":0.1234567890123456789}'));
  const [outcome] = await generation.predict(generation.rows.decode(features, 'features'), { cancelled: false });
  const answer = 'outputs' in outcome! ? outcome.outputs[0]!.data[0] : outcome!.error;
  assert.equal(answer, '{"id":9007199254740994,"n":0.12345678901234568,"big":[18446744073709551616]}');
});

test('a text that is no JSON is an error of the caller: a dialect of tensors may send any', async (t) => {
  const generation = await load(t, { code: ECHO });
  const feeds = { tensors: [{ dtype: 'string', dims: [1], data: ['{n:1}'] }], rows: 1 } as const;
  const [outcome] = await generation.predict(
    { ...feeds, tensors: [{ ...feeds.tensors[0], data: ['{n:1}'] }] },
    { cancelled: false },
  );
  refusal('INVALID_INPUT', /^features: expected JSON: /)((outcome as { error: unknown }).error);
});

for (const [what, name, code, message] of [
  [
    'is not TypeScript',
    'transform.ts',
    'export const a = 1;\nexport function preprocess( { return 1; }',
    /transform\.ts:2: SyntaxError: Expected ','/,
  ],
  [
    'is not JavaScript',
    'transform.js',
    'export const a = 1;\nexport function preprocess( { return 1; }',
    /transform\.js:2: SyntaxError: Expected ','/,
  ],
  [
    'has what types alone cannot be stripped from',
    'transform.ts',
    'export const a = 1;\nenum X { A }\n',
    /transform\.ts:2: SyntaxError: TypeScript enum is not supported in strip-only mode: compile it/,
  ],
  [
    'imports what is not there',
    'transform.ts',
    'import x from "left-pad";',
    /transform\.ts: Error: Cannot find package 'left-pad'/,
  ],
  ['throws', 'transform.ts', '\n\nnull!.x;', /transform\.ts:3: TypeError: Cannot read properties of null/],
  [
    'exports nothing that is called',
    'transform.ts',
    'export const process = 1;',
    /transform\.ts: expected it to export the function preprocess, postprocess or both, got neither/,
  ],
  [
    'exports no function',
    'transform.ts',
    'export const preprocess = 1;',
    /transform\.ts: expected preprocess to be a function, got number/,
  ],
] as const) {
  test(`a file that ${what} is not loaded, and the error has its place`, async (t) => {
    await assert.rejects(load(t, { name, code }), (error: unknown) => {
      assert.ok(error instanceof ServingError);
      assert.equal(error.code, 'MODEL_FAILED');
      assert.match(error.message, new RegExp(`^models/[^ ]+/${message.source}`));
      return true;
    });
  });
}

test('a file that is a link, as Kubernetes mounts files, is run where it lies', async (t) => {
  const mounted = join(folder, '..2026_12_01');
  mkdirSync(join(mounted, 'transform'), { recursive: true });
  writeFileSync(join(mounted, 'transform/words.json'), '["a"]');
  const code = `import { readFileSync } from 'node:fs';
const words = JSON.parse(readFileSync(new URL('./transform/words.json', import.meta.url), 'utf8'));
export const postprocess = () => { if (words.length > 1) throw new Error(); return words; };`;
  writeFileSync(join(mounted, 'transform.ts'), code);
  const link = join(folder, '..data');
  symlinkSync(mounted, link);
  const generation = await load(t, { code, linked: join(link, 'transform.ts') });
  assert.deepEqual(await predict(generation, [1, 2, 3, 4]), ['a']);
  writeFileSync(join(mounted, 'transform.ts'), '\nnull!.x;');
  await assert.rejects(load(t, { code, linked: join(link, 'transform.ts') }), {
    message: /transform\.ts:2: TypeError/,
  });
});

test('the code reads its folder alone, starts no process, writes no file and gets no setting', async (t) => {
  process.env.TRANSFORM_SECRET = 'secret';
  t.after(() => delete process.env.TRANSFORM_SECRET);
  const code = `import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { words } from './transform/words.ts';
const attempt = (call: () => unknown) => { try { call(); return 'done'; } catch (error: any) { return error.code; } };
export const preprocess = () => ({ x: [1, 2, 3, 4] });
export const postprocess = () => ({
  own: JSON.parse(readFileSync(new URL('./transform/data.json', import.meta.url), 'utf8')),
  words,
  read: attempt(() => readFileSync('/proc/' + process.ppid + '/environ')),
  write: attempt(() => writeFileSync(new URL('./out', import.meta.url), '')),
  process: attempt(() => execFileSync('true')),
  thread: attempt(() => new Worker('', { eval: true })),
  addon: attempt(() => (process as any).dlopen({ exports: {} }, '/lib/x.node')),
  variables: Object.keys(process.env).filter((name) => name === 'TRANSFORM_SECRET'),
});`;
  const others = { 'transform/data.json': '{"a":1}', 'transform/words.ts': 'export const words: string[] = ["a"];' };
  const generation = await load(t, { code, others });
  assert.deepEqual(await predict(generation, null), {
    own: { a: 1 },
    words: ['a'],
    read: 'ERR_ACCESS_DENIED',
    write: 'ERR_ACCESS_DENIED',
    process: 'ERR_ACCESS_DENIED',
    thread: 'ERR_ACCESS_DENIED',
    addon: 'ERR_DLOPEN_DISABLED',
    variables: [],
  });
});
