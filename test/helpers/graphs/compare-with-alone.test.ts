import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { column, float32 } from '../tensors.ts';
import { compareWithAlone, randomRequests } from './compare-with-alone.ts';
import { floats } from './feeds.ts';

/** A session that gives what `compute` makes of its one input. */
const session = (compute: (x: Tensor) => Tensor) => ({
  run: async ([x]: readonly Tensor[]) => [{ slot: 0, ...compute(x!) }],
});

const values = (x: Tensor) => [...(x.data as Float32Array)];
const each = (map: (value: number, at: number, all: number[]) => number) =>
  session((x) => float32(x.dims, values(x).map(map)));

const requests = [[column(1, 2)], [column(3)]];

test('nothing is found where each row gets the same alone, joined and in reverse order', async () => {
  assert.equal(
    await compareWithAlone(
      each((value) => 2 * value),
      requests,
    ),
    undefined,
  );
  const special = [[column(Number.NaN, Number.POSITIVE_INFINITY)], [column(-0, 1e-45)]];
  assert.equal(
    await compareWithAlone(
      each((value) => value),
      special,
    ),
    undefined,
  );
});

test('a value that another row changes is found', async () => {
  const mean = each((value, _, all) => value - all.reduce((sum, one) => sum + one, 0) / all.length);
  assert.equal(await compareWithAlone(mean, requests), 'joined: output 0, row 0, element 0: 0 alone, -1 with others');
});

test('a value that depends on the place of the row is found in reverse order', async () => {
  const first = each((value, at, all) => (all.length > 1 && at === 0 && value !== 1 ? 0 : value));
  assert.match((await compareWithAlone(first, requests))!, /^reversed: output 0, row 2, element 0: 3 alone, 0 with/);
});

test('a row too few, a scalar and trailing dimensions that differ are found', async () => {
  const counts = [
    (x: Tensor) => float32([Math.min(2, x.dims[0]!), 1], values(x).slice(0, 2)),
    () => float32([], [1]),
    (x: Tensor) => float32([x.dims[0]!, x.dims[0]!], Array(x.dims[0]! ** 2).fill(1)),
  ];
  for (const compute of counts) {
    assert.match(
      (await compareWithAlone(session(compute), requests))!,
      /^joined: output 0 has shape \[.*\] for 3 rows/,
    );
  }
});

test('a run that fails is told, alone and joined', async () => {
  const fails = (rows: number) =>
    session((x) => {
      if (x.dims[0] === rows) throw new Error('no such row');
      return x;
    });
  assert.equal(await compareWithAlone(fails(1), requests), 'row 0 alone: the run failed: no such row');
  assert.equal(await compareWithAlone(fails(3), requests), 'joined: the run failed: no such row');
});

test('a float may be off by a share of the largest in its row and output, and not of another row', async () => {
  const off = session((x) =>
    float32(
      x.dims,
      values(x).map((value) => value + (x.dims[0]! > 1 ? 0.5 : 0)),
    ),
  );
  const large = float32([1, 2], [1e6, 1]);
  assert.equal(await compareWithAlone(off, [[large], [large]]), undefined);
  assert.match(
    (await compareWithAlone(off, [[large], [float32([1, 2], [1, 1])]]))!,
    /^joined: output 0, row 1, element 0/,
  );
  assert.match((await compareWithAlone(off, [[large], [large]], 1e-7))!, /^joined: output 0, row 0, element 0/);
});

test('integers and texts are equal or not', async () => {
  const counted = session(({ dims: [rows] }) => ({
    dtype: 'int64',
    dims: [rows!],
    data: new BigInt64Array(rows!).fill(BigInt(rows!)),
  }));
  assert.match((await compareWithAlone(counted, requests))!, /: 1 alone, 3 with others$/);
  const named = session(({ dims: [rows] }) => ({
    dtype: 'string',
    dims: [rows!],
    data: Array<string>(rows!).fill(`of ${rows}`),
  }));
  assert.match((await compareWithAlone(named, requests))!, /: of 1 alone, of 3 with others$/);
});

test('random requests have two rows and more, of every kind of float', () => {
  const random = createRandom(1);
  const seen: number[] = [];
  for (let i = 0; i < 200; i++) {
    const found = randomRequests({ feeds: (from, rows) => [floats([3]).make(from, rows)] }, random);
    assert.ok(found.reduce((sum, [x]) => sum + x!.dims[0]!, 0) >= 2);
    seen.push(...found.flatMap(([x]) => values(x!)));
  }
  for (const wanted of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, Math.fround(1e30)]) {
    assert.ok(
      seen.some((value) => Object.is(value, wanted)),
      `${wanted}`,
    );
  }
  assert.ok(seen.some((value) => value !== 0 && Math.abs(value) < 1e-38));
});
