import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  countRows,
  type Feeds,
  findMisfit,
  halve,
  isolateRows,
  joinRows,
  keyOf,
  rowBytes,
  rowsInRun,
  type Span,
  stackSpans,
} from '../../functions/engine/batch-rows.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';
import { column, float32 } from '../helpers/tensors.ts';

const feeds = (rows: number, ...tensors: Tensor[]): Feeds => ({ tensors, rows });
const span = (of: Feeds, first = 0, rows = of.rows): Span => ({ feeds: of, first, rows });

test('a key is the same only for rows that fit into one tensor', () => {
  const base = feeds(1, float32([1, 2, 3], [1, 2, 3, 4, 5, 6]));
  assert.equal(keyOf(base), keyOf(feeds(2, float32([2, 2, 3], new Array(12).fill(0)))));
  const others = [
    feeds(1, float32([1, 3, 2], [1, 2, 3, 4, 5, 6])),
    feeds(1, float32([1, 6], [1, 2, 3, 4, 5, 6])),
    feeds(1, float32([1, 23], new Array(23).fill(0))),
    feeds(1, { dtype: 'float64', dims: [1, 2, 3], data: new Float64Array(6) }),
    feeds(1, base.tensors[0]!, base.tensors[0]!),
  ];
  const keys = [base, ...others].map(keyOf);
  assert.equal(new Set(keys).size, keys.length, keys.join('\n'));
});

test('rows are joined in order, input by input, without a copy', () => {
  const text: Tensor = { dtype: 'string', dims: [2, 1], data: ['a', 'b'] };
  const one = feeds(2, float32([2, 2], [1, 2, 3, 4]), text);
  const two = feeds(3, float32([3, 2], [5, 6, 7, 8, 9, 10]), { dtype: 'string', dims: [3, 1], data: ['c', 'd', 'e'] });
  const [numbers, strings] = joinRows([span(one), span(two, 1, 2)]);
  assert.deepEqual(numbers, {
    slot: 0,
    dtype: 'float32',
    dims: [4, 2],
    parts: [Float32Array.of(1, 2, 3, 4), Float32Array.of(7, 8, 9, 10)],
  });
  assert.deepEqual(strings, {
    slot: 1,
    dtype: 'string',
    dims: [4, 1],
    parts: [
      ['a', 'b'],
      ['d', 'e'],
    ],
  });
  assert.equal(numbers!.parts[0], one.tensors[0]!.data);
  assert.equal((numbers!.parts[1] as Float32Array).buffer, (two.tensors[0]!.data as Float32Array).buffer);
});

test('complete feeds that run alone keep their shape, whatever their first dimension', () => {
  const scalar = feeds(1, float32([], [5]));
  assert.deepEqual(joinRows([span(scalar)]), [{ slot: 0, dtype: 'float32', dims: [], parts: [Float32Array.of(5)] }]);
  assert.deepEqual(joinRows([span(feeds(1, float32([3], [1, 2, 3])))])[0]!.dims, [3]);
});

test('the rows of several spans become new feeds, and those of one span are a view of it', () => {
  const shared = feeds(5, column(5, 6, 7, 8, 9));
  const one = stackSpans([span(shared, 1, 3)]);
  const [tensor] = one.tensors;
  assert.deepEqual([one.rows, tensor!.dims, tensor!.data], [3, [3, 1], Float32Array.of(6, 7, 8)]);
  assert.equal((tensor!.data as Float32Array).buffer, (shared.tensors[0]!.data as Float32Array).buffer);
  const two = stackSpans([span(shared, 4, 1), span(feeds(2, column(1, 2)))]);
  assert.deepEqual([two.rows, two.tensors[0]!.dims, two.tensors[0]!.data], [3, [3, 1], Float32Array.of(9, 1, 2)]);
});

test('halves have every row once, in order, and differ by one row at most', () => {
  const spans = [
    span(feeds(3, column(1, 2, 3))),
    span(feeds(1, column(4))),
    span(feeds(5, column(5, 6, 7, 8, 9)), 1, 3),
  ];
  const rowsOf = (half: readonly Span[]): number[] =>
    half.flatMap((part) =>
      Array.from(part.feeds.tensors[0]!.data as Float32Array).slice(part.first, part.first + part.rows),
    );
  const [left, right] = halve(spans);
  assert.deepEqual(
    [rowsOf(left), rowsOf(right)],
    [
      [1, 2, 3, 4],
      [6, 7, 8],
    ],
  );
  const [a, b] = halve(left);
  assert.deepEqual(
    [rowsOf(a), rowsOf(b)],
    [
      [1, 2],
      [3, 4],
    ],
  );
  assert.deepEqual(halve([span(feeds(2, column(1, 2)))]).map(rowsOf), [[1], [2]]);
});

test('halves keep the other fields of a span', () => {
  const marked = { ...span(feeds(2, column(1, 2))), again: true };
  assert.deepEqual(
    halve([marked])
      .flat()
      .map(({ again }) => again),
    [true, true],
  );
});

test('rows are isolated in order, over all spans, and counted', () => {
  const spans = [span(feeds(5, column(1, 2, 3, 4, 5)), 1, 3), span(feeds(1, column(6)))];
  const isolated = isolateRows(spans);
  assert.deepEqual(
    isolated.map((alone) => alone.map(({ first, rows }) => [first, rows])),
    [[[1, 1]], [[2, 1]], [[3, 1]], [[0, 1]]],
  );
  assert.equal(isolated[3]![0]!.feeds, spans[1]!.feeds);
  assert.equal(countRows(spans), 4);
});

test('an output without a row for each input row is named with its shape', () => {
  assert.equal(findMisfit([column(1, 2), float32([2], [1, 2])], 2), undefined);
  for (const dims of [[], [1], [3, 2]]) {
    assert.equal(findMisfit([column(1, 2), float32(dims, [])], 2), `output 1 has the shape [${dims}] for 2 rows`);
  }
});

test('the bytes of a row are those of its numbers, and of its strings with their lengths', () => {
  const numbers: Tensor = { dtype: 'float64', dims: [2, 3], data: new Float64Array(6) };
  const texts: Tensor = { dtype: 'string', dims: [2, 1], data: ['ab', ''] };
  assert.equal(rowBytes([numbers, texts], 2), 24 + 5);
  assert.equal(rowBytes([{ dtype: 'int8', dims: [1, 0], data: new Int8Array(0) }], 1), 1);
});

test('a run takes as many rows as its bytes allow, at least one', () => {
  assert.equal(rowsInRun(4, 64, 2 ** 25), 64);
  assert.equal(rowsInRun(2 ** 20, 64, 2 ** 25), 32);
  assert.equal(rowsInRun(2 ** 30, 64, 2 ** 25), 1);
});
