import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowIndependence } from '../../../functions/batching/row-independence.ts';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import {
  type BatchingEvidence,
  decideBatching,
  mayBatch,
  type Run,
  syntheticRow,
  trialRows,
  tryJoinedRuns,
} from '../../../functions/model/serving/batching-decision.ts';
import type { Signature, Tensor } from '../../../functions/tensor/tensor.ts';
import { column, float32 } from '../../helpers/tensors.ts';

const spec = (...shape: number[]) => ({ name: 'x', dtype: 'float32' as const, shape });
const SIGNATURE: Signature = { inputs: [spec(-1, 1)], outputs: [spec(-1, 1)] };

/** Gives what `outputs` makes of the values fed, as if a model of one column had. */
const pretend =
  (outputs: (values: number[]) => Tensor): Run =>
  (inputs) =>
    Promise.resolve([outputs(inputs[0]!.parts.flatMap((part) => Array.from(part as Float32Array)))]);
const rows = [1, 2, 3].map((value): Feeds => ({ tensors: [column(value)], rows: 1 }));
const tenfold = pretend((values) => column(...values.map((value) => value * 10)));
const never: Run = () => assert.fail('nothing is to be run');

const PROVED: RowIndependence = { verdict: 'proved' };
const MIXED: RowIndependence = { verdict: 'mixed', operator: 'TopK', node: 'best', reason: 'it sorts the rows' };
const UNKNOWN: RowIndependence = {
  verdict: 'unknown',
  operator: 'my.Op',
  node: 'op',
  reason: 'there is no rule for this operator',
};

test('a proved graph decides, without a run', async () => {
  const evidence = { signature: SIGNATURE, manifest: undefined, graph: PROVED, known: rows, run: never };
  assert.deepEqual(await decideBatching(evidence), {
    enabled: true,
    decidedBy: 'proof',
    reason: 'every operator of the graph keeps rows apart',
  });
});

test('a graph that mixes rows decides without a trial, and the reason names the operator and the node', async () => {
  const evidence = { signature: SIGNATURE, manifest: undefined, graph: MIXED, known: rows, run: never };
  assert.deepEqual(await decideBatching(evidence), {
    enabled: false,
    decidedBy: 'proof',
    reason: 'operator TopK, node best: it sorts the rows',
  });
});

test('model.json overrides the graph and the shapes, both ways', async () => {
  const cases: [manifest: boolean, graph: RowIndependence][] = [
    [true, MIXED],
    [false, PROVED],
  ];
  for (const [manifest, graph] of cases) {
    const signature: Signature = { inputs: [spec(1)], outputs: [spec(1)] };
    const evidence: BatchingEvidence = { signature, manifest, graph, known: rows, run: never };
    const { enabled, decidedBy } = await decideBatching(evidence);
    assert.deepEqual([enabled, decidedBy], [manifest, 'manifest']);
    assert.equal(mayBatch(evidence), manifest);
  }
});

test('with an unknown operator a trial with the rows of the files decides', async () => {
  const evidence = { signature: SIGNATURE, manifest: undefined, graph: UNKNOWN, known: rows, run: tenfold };
  const decided = await decideBatching(evidence);
  assert.deepEqual([decided.enabled, decided.decidedBy], [true, 'trial']);
  assert.match(decided.reason, /^operator my\.Op, node op: .*; 3 rows gave the same alone and joined$/);
  const without = await decideBatching({ ...evidence, known: rows.slice(1) });
  assert.equal(without.enabled, false);
  assert.match(
    without.reason,
    /a trial takes 3 distinct rows, and the model's files have 2: .*golden\.json.*"batching"/,
  );
});

test('a fixed first dimension of an input or output carries no rows', async () => {
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
    const evidence: BatchingEvidence = { signature, manifest: undefined, graph: PROVED, known: [], run: never };
    assert.equal(mayBatch(evidence), may, JSON.stringify([inputs, outputs]));
    assert.equal((await decideBatching(evidence)).enabled, may);
  }
});

test('trial rows are up to three, distinct, of the shape of the first, and not synthetic', () => {
  const known = [
    [1, 2, 3],
    [1, 2, 3],
    [1, 2],
    [4, 5, 6],
  ].map((values): Feeds => ({ tensors: [float32([1, values.length], values)], rows: 1 }));
  assert.deepEqual(trialRows(known), [known[0], known[3]]);
});

test('a synthetic row has the shape of a known one, or 1 in free dimensions', () => {
  const signature: Signature = { inputs: [spec(-1, -1, 2)], outputs: [] };
  const like: Feeds = { tensors: [float32([1, 3, 2], [1, 2, 3, 4, 5, 6])], rows: 1 };
  assert.deepEqual(syntheticRow(signature, like, 0).tensors[0]!.dims, [1, 3, 2]);
  assert.deepEqual(syntheticRow(signature, undefined, 0).tensors[0]!.dims, [1, 1, 2]);
});

test('values may differ by at most 1e-4 between a row alone and a joined row', async () => {
  const off = (by: number): Run =>
    pretend((values) => column(...values.map((value) => (values.length > 1 ? value * (1 + by) : value))));
  assert.equal((await tryJoinedRuns(off(5e-5), rows)).enabled, true);
  const { enabled, reason } = await tryJoinedRuns(off(1e-3), rows);
  assert.equal(enabled, false);
  assert.match(reason, /output 0 of a row is 1 alone, and 1\.001\d* beside other rows/);
});

test('outputs that depend on the order of the rows are found in the second order', async () => {
  const byOrder = pretend((values) => column(...(values[0] === 3 ? values.toReversed() : values)));
  assert.equal((await tryJoinedRuns(byOrder, rows)).enabled, false);
});

test('an output without a row for each input row decides against joining', async () => {
  const sum = pretend((values) => column(values.reduce((a, b) => a + b)));
  assert.deepEqual(await tryJoinedRuns(sum, rows), {
    enabled: false,
    reason: 'output 0 has the shape [1,1] for 3 rows',
  });
  const scalar = pretend((values) => float32([], [values.reduce((a, b) => a + b)]));
  assert.deepEqual(await tryJoinedRuns(scalar, rows), {
    enabled: false,
    reason: 'output 0 has the shape [] for 1 row',
  });
});

test('outputs that are equal for two rows, or differ in labels alone, leave it undecided', async () => {
  const label = (values: number[]): Tensor => ({
    dtype: 'int64',
    dims: [values.length],
    data: BigInt64Array.from(values.map((value) => BigInt(Math.round(value)))),
  });
  for (const outputs of [
    (values: number[]) => column(...values.map(() => 1)),
    (values: number[]) => column(...values.map((value) => Math.min(value, 2))),
    label,
  ]) {
    const { enabled, reason } = await tryJoinedRuns(pretend(outputs), rows);
    assert.equal(enabled, false);
    assert.match(
      reason,
      /no output of floating-point numbers differs between the trial rows: to decide it, .*model\.json/,
    );
  }
});

test('a run that fails leaves it undecided, and the reason says why and what to do', async () => {
  const lone: Run = (inputs) =>
    inputs[0]!.dims[0] === 1
      ? Promise.resolve([column((inputs[0]!.parts[0] as Float32Array)[0]!)])
      : Promise.reject(new Error('Reshape'));
  assert.match((await tryJoinedRuns(lone, rows)).reason, /joined trial rows failed \(Reshape\): to decide it/);
  const none: Run = () => Promise.reject(new Error('Gather'));
  assert.match((await tryJoinedRuns(none, rows)).reason, /a trial row failed \(Gather\): to decide it/);
});

test('a model that takes seconds for a row is not tried further', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let runs = 0;
  const verdict = await tryJoinedRuns(() => {
    runs++;
    now += 2001;
    return Promise.resolve([column(1)]);
  }, rows);
  assert.match(verdict.reason, /a row takes longer than 2000 ms: to decide it/);
  assert.equal(runs, 1);
});
