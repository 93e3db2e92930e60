import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { Feeds } from '../../functions/engine/join.ts';
import { createPool } from '../../functions/engine/pool.ts';
import type { Signature, Tensor } from '../../functions/engine/tensor.ts';
import { mayJoin, type Run, trialRows, tryJoining } from '../../functions/model/batching.ts';
import {
  add,
  freeDimensions,
  identity,
  manyInputs,
  poisonable,
  rowsSeeEachOther,
  sequenceAxis,
  softmaxAxis0,
  twoOutputs,
  writeModel,
} from '../helpers/models.ts';
import { column, float32 } from '../helpers/tensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'batching-'));
after(() => rmSync(folder, { recursive: true }));

/** The model in a real engine. */
async function open(t: TestContext, bytes: Uint8Array): Promise<{ signature: Signature; run: Run }> {
  const path = join(writeModel(folder, t.name.replaceAll(/\W+/g, '-'), bytes), 'model.onnx');
  const order = { path, intraOpThreads: 1, executionProviders: ['cpu'] };
  const pool = createPool({ size: 1, order, runTimeoutMs: 10_000 });
  t.after(() => pool.close());
  const { signature } = await pool.start();
  return { signature, run: pool.run };
}

const JOINED: [title: string, bytes: Uint8Array][] = [
  ['float32', identity()],
  ['float16', identity('float16')],
  ['int64', identity('int64')],
  ['string', identity('string')],
  ['bool', identity('bool', ['N', 3])],
  ['two inputs', add()],
  ['two inputs of two dtypes and two outputs', twoOutputs()],
  ['dimensions that are all free', freeDimensions()],
];

for (const [title, bytes] of JOINED) {
  test(`rows that do not see each other may share a run: ${title}`, async (t) => {
    const { signature, run } = await open(t, bytes);
    assert.deepEqual(await tryJoining(run, trialRows(signature, [])), { join: true, why: undefined });
  });
}

const APART: [title: string, bytes: Uint8Array, why: RegExp][] = [
  ['a sequence axis', sequenceAxis(), /output 0 of a row changes with its company: .* alone, .* joined$/],
  [
    'a softmax over axis 0',
    softmaxAxis0(),
    /the trial rows all gave the same outputs; to decide it, add golden\.json, or set "batching"/,
  ],
  ['rows less their mean', rowsSeeEachOther(), /the trial rows all gave the same outputs; to decide it/],
];

for (const [title, bytes, why] of APART) {
  test(`rows that see each other may not share a run: ${title}`, async (t) => {
    const { signature, run } = await open(t, bytes);
    assert.ok(mayJoin(signature), 'the shapes alone do not tell');
    const verdict = await tryJoining(run, trialRows(signature, []));
    assert.equal(verdict.join, false);
    assert.match(verdict.why!, why);
  });
}

test('fewer than three distinct rows leave it undecided, and it says what to do', async (t) => {
  const { signature, run } = await open(t, identity('bool', ['N', 1]));
  const verdict = await tryJoining(run, trialRows(signature, []));
  assert.equal(verdict.join, false);
  assert.match(verdict.why!, /only 2 distinct trial rows, of 3 needed; to decide it, add golden\.json/);
});

test('a trial that fails leaves it undecided, and says why and what to do', async (t) => {
  const { run } = await open(t, poisonable());
  const feeds = (value: number): Feeds => ({ tensors: [column(value)], rows: 1 });
  const verdict = await tryJoining(run, [feeds(1), feeds(-1), feeds(2)]);
  assert.equal(verdict.join, false);
  assert.match(
    verdict.why!,
    /a trial row failed \(.*Gather.*\); to decide it, add golden\.json, or set "batching": true or false in model\.json$/,
  );
});

test('known rows decide where made-up ones cannot be told apart', async (t) => {
  const { signature, run } = await open(t, manyInputs());
  const rows = [41, 7, 19].map((age, i): Feeds => {
    const city: Tensor = { dtype: 'string', dims: [1, 1], data: [['Oslo', 'Rome', 'Bonn'][i]!] };
    return { tensors: [column(age), city], rows: 1 };
  });
  assert.deepEqual(await tryJoining(run, trialRows(signature, rows)), { join: true, why: undefined });
});

const spec = (...shape: number[]) => ({ name: 'x', dtype: 'float32' as const, shape });

test('a first dimension that is fixed, on either side, is no batch', () => {
  const cases: [inputs: number[][], outputs: number[][], may: boolean][] = [
    [[[-1, 4]], [[-1]], true],
    [[[-1, 4], [-1]], [[-1, 2], [-1]], true],
    [[[1, 4]], [[-1]], false],
    [[[-1, 4], [3]], [[-1]], false],
    [[[-1, 4]], [[1]], false],
    [[[-1, 4]], [[]], false],
    [[[]], [[-1]], false],
    [[], [[-1]], false],
  ];
  for (const [inputs, outputs, may] of cases) {
    const signature: Signature = { inputs: inputs.map((s) => spec(...s)), outputs: outputs.map((s) => spec(...s)) };
    assert.equal(mayJoin(signature), may, JSON.stringify([inputs, outputs]));
  }
});

test('trial rows are three, distinct, and the known ones first', () => {
  const signature: Signature = { inputs: [spec(-1, 2)], outputs: [spec(-1)] };
  const known = [
    [5, 6],
    [5, 6],
    [7, 8],
  ].map((values): Feeds => ({ tensors: [float32([1, 2], values)], rows: 1 }));
  const rows = trialRows(signature, known);
  assert.equal(rows.length, 3);
  assert.deepEqual([rows[0], rows[1]], [known[0], known[2]]);
  assert.notDeepEqual(rows[2]!.tensors[0]!.data, rows[0]!.tensors[0]!.data);
});

test('trial rows all have the shape of the first known one, so that they can be joined', () => {
  const signature: Signature = { inputs: [spec(-1, -1)], outputs: [spec(-1)] };
  const known = [
    [1, 2, 3],
    [1, 2],
    [4, 5, 6],
  ].map((values): Feeds => ({ tensors: [float32([1, values.length], values)], rows: 1 }));
  const rows = trialRows(signature, known);
  assert.deepEqual(
    rows.map(({ tensors }) => tensors[0]!.dims),
    [
      [1, 3],
      [1, 3],
      [1, 3],
    ],
  );
  assert.deepEqual([rows[0], rows[1]], [known[0], known[2]]);
});

/** Gives what `outputs` makes of the values fed, as if a model of one column had. */
const pretend =
  (outputs: (values: number[]) => Tensor): Run =>
  (inputs) =>
    Promise.resolve([outputs(inputs[0]!.parts.flatMap((part) => Array.from(part as Float32Array)))]);
const rows = [1, 2, 3].map((value): Feeds => ({ tensors: [column(value)], rows: 1 }));

test('values may differ by 1e-4 between a row alone and a row joined, no more', async () => {
  const off = (by: number): Run =>
    pretend((values) => column(...values.map((value) => (values.length > 1 ? value * (1 + by) : value))));
  assert.equal((await tryJoining(off(5e-5), rows)).join, true);
  assert.match((await tryJoining(off(1e-3), rows)).why!, /output 0 of a row changes with its company: 1 alone, 1\.001/);
});

test('what depends on the order of the rows is found in the second order', async () => {
  const byOrder = pretend((values) => column(...(values[0] === 3 ? values.toReversed() : values)));
  assert.equal((await tryJoining(byOrder, rows)).join, false);
});

test('an output that has no row for each row fed decides against joining', async () => {
  const sum = pretend((values) => column(values.reduce((a, b) => a + b)));
  assert.deepEqual(await tryJoining(sum, rows), { join: false, why: 'output 0 has no row for each row fed' });
  const scalar = pretend((values) => float32([], [values.reduce((a, b) => a + b)]));
  assert.deepEqual(await tryJoining(scalar, rows), {
    join: false,
    why: "an output's first dimension does not follow the input's",
  });
});

test('a model that gives the same for every row leaves it undecided', async () => {
  const verdict = await tryJoining(
    pretend((values) => column(...values.map(() => 1))),
    rows,
  );
  assert.equal(verdict.join, false);
  assert.match(verdict.why!, /the same outputs; to decide it, .*model\.json/);
});

test('a joined run that fails leaves it undecided', async () => {
  const lone: Run = (inputs) =>
    inputs[0]!.dims[0] === 1
      ? Promise.resolve([column((inputs[0]!.parts[0] as Float32Array)[0]!)])
      : Promise.reject(new Error('Reshape'));
  assert.match((await tryJoining(lone, rows)).why!, /joined trial rows failed \(Reshape\); to decide it/);
});

test('a model that takes seconds a row is not tried further', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let runs = 0;
  const verdict = await tryJoining(() => {
    runs++;
    now += 2001;
    return Promise.resolve([column(1)]);
  }, rows);
  assert.match(verdict.why!, /a row takes longer than 2000 ms; to decide it/);
  assert.equal(runs, 1);
});
