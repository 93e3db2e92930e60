import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeGolden } from '../../../functions/cli/golden/make-golden.ts';
import { findLocalModel } from '../../../functions/cli/samples/local-model.ts';
import { ServingError } from '../../../functions/errors.ts';
import { model, node, value } from '../../../functions/onnx/proto/build.ts';
import { identity, manyInputs, notFinite, poisonable, unknownOperator, writeModel } from '../../helpers/models.ts';

const IRIS = join(import.meta.dirname, '../../../models/iris');
const folder = mkdtempSync(join(tmpdir(), 'golden-'));
after(() => rmSync(folder, { recursive: true }));

/** Makes golden rows of a model in a folder. */
async function make(path: string, samples: string, options: { rows?: number; tolerance?: number } = {}) {
  const counts: number[] = [];
  const made = await makeGolden({
    model: await findLocalModel(path),
    samples,
    rows: 20,
    tolerance: 1e-4,
    onRow: (done) => counts.push(done),
    signal: new AbortController().signal,
    ...options,
  });
  return { ...made, counts };
}

let files = 0;
function write(text: string, kind = 'ndjson'): string {
  const file = join(folder, `rows-${files++}.${kind}`);
  writeFileSync(file, text);
  return file;
}

/** The outputs are compared as texts: a number that is parsed has lost digits. */
const rowsOf = (text: string): string[] => text.match(/\{"features".*\}\}/g) ?? [];

test('the rows are spread over the file from the first to the last, with what the model answers, one a line', async () => {
  const lines = Array.from({ length: 101 }, (_, i) => `[${i},0,0,0]\n`).join('');
  const made = await make(writeModel(folder, 'spread', identity()), write(lines), { rows: 3 });
  assert.deepEqual(
    rowsOf(made.text),
    [0, 50, 100].map((i) => `{"features":[${i},0,0,0],"outputs":{"y":[${i},0,0,0]}}`),
  );
  assert.match(made.text, /^\{\n {2}"tolerance": 0\.0001,\n {2}"rows": \[\n/);
  assert.deepEqual([made.rows, made.of, made.counts], [3, 101, [1, 2, 3]]);
  assert.deepEqual(made.outputs, [{ name: 'y', dtype: 'float32', alone: 0, joined: 0 }]);
});

test('the bundled model answers its golden rows as they are, within the tolerance', async () => {
  const { text } = await make(IRIS, join(IRIS, 'golden.json'));
  const own = (await findLocalModel(IRIS)).golden!.rows;
  const made = JSON.parse(text) as {
    rows: { features: number[]; outputs: { label: number; probabilities: number[] } }[];
  };
  assert.equal(made.rows.length, own.length);
  for (const [i, { features, outputs }] of made.rows.entries()) {
    assert.deepEqual([features, outputs.label], [own[i]!.features, own[i]!.outputs.label]);
    const expected = own[i]!.outputs.probabilities as number[];
    for (const [at, p] of outputs.probabilities.entries()) assert.ok(Math.abs(p - expected[at]!) < 1e-5);
  }
});

test('no digit of an integer is lost, numbers that JSON lacks are texts, and float32 has the fewest digits', async () => {
  const integers = writeModel(folder, 'integers', identity('int64', ['N', 2]));
  assert.deepEqual(rowsOf((await make(integers, write('[9007199254740993,-1]'))).text), [
    '{"features":[9007199254740993,-1],"outputs":{"y":[9007199254740993,-1]}}',
  ]);
  const made = await make(
    writeModel(folder, 'logarithm', notFinite()),
    write('[0]\n[-1]\n["Infinity"]\n[0.30000001192092896]'),
  );
  assert.deepEqual(rowsOf(made.text), [
    '{"features":[0],"outputs":{"y":["-Infinity"]}}',
    '{"features":[-1],"outputs":{"y":["NaN"]}}',
    '{"features":["Infinity"],"outputs":{"y":["Infinity"]}}',
    '{"features":[0.3],"outputs":{"y":[-1.2039728]}}',
  ]);
});

test('a table of texts and numbers becomes rows by name', async () => {
  const made = await make(writeModel(folder, 'table', manyInputs()), write('city,age\nRome,1\n', 'csv'));
  assert.deepEqual(rowsOf(made.text), ['{"features":{"age":1,"city":"Rome"},"outputs":{"y":[201]}}']);
});

test('rows of a model whose rows are not joined are not run together', async () => {
  const path = writeModel(folder, 'apart', identity(), { batching: false });
  assert.equal((await make(path, write('[1,2,3,4]\n[5,6,7,8]'))).outputs[0]!.joined, undefined);
});

const noise = () =>
  model({
    name: 'noise',
    nodes: [node('RandomNormalLike', ['x'], ['noise'], { scale: 0.01 }), node('Add', ['x', 'noise'], ['y'])],
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32', ['N', 4])],
  });

test('a model that gives something else in each run is refused, with the output, by how much, and what to do', async () => {
  const path = writeModel(folder, 'random', noise());
  await assert.rejects(make(path, write('[1,2,3,4]')), (error) => {
    assert.ok(error instanceof ServingError);
    assert.match(
      error.message,
      /^the model is not deterministic: output y of the same row differs from run to run by up to 0\.0\d+, the tolerance is 0\.0001\. .*: export it without random operators/,
    );
    return true;
  });
  const { outputs } = await make(path, write('[1,2,3,4]'), { tolerance: 0.5 });
  assert.ok(outputs[0]!.alone > 1e-4 && outputs[0]!.alone < 0.5);
});

test('a row that the model does not run is refused with its place, and a model that does not load with the reason', async () => {
  const rows = write('[1]\n[-1]');
  await assert.rejects(
    make(writeModel(folder, 'poisonable', poisonable()), rows),
    (error) =>
      error instanceof ServingError && error.message.startsWith(`${rows}:2: the model does not run this row: `),
  );
  const path = writeModel(folder, 'unknown', unknownOperator());
  await assert.rejects(
    make(path, rows),
    (error) => error instanceof ServingError && /NoSuchOperator/.test(error.message),
  );
});

test('a model whose inputs are made of something else is refused: golden rows would be of tensors', async () => {
  const path = writeModel(folder, 'code', identity());
  writeFileSync(join(path, 'transform.ts'), 'export const preprocess = () => ({});');
  await assert.rejects(make(path, write('[1,2,3,4]')), {
    code: 'UNSUPPORTED',
    message:
      /model\.onnx: its inputs are made from what callers send, and golden makes rows of tensors: write golden\.json/,
  });
});
