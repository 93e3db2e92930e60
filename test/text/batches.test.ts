import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { padBatch, planBatches, restoreOrder } from '../../functions/text/batches.ts';

const lengths = fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 200 });
const limits = fc.record({ maxTokens: fc.integer({ min: 1, max: 5000 }), maxRows: fc.integer({ min: 1, max: 64 }) });
const rowOf = (length: number, i: number) => ({
  ids: new Int32Array(length).fill(i + 7),
  typeIds: new Uint8Array(length).fill(1),
});

test('every row comes back once and in order, whatever the lengths and the limits', () => {
  fc.assert(
    fc.property(lengths, limits, (rows, bounds) => {
      const batches = planBatches(rows, bounds);
      const tokens = rows.map(rowOf);
      // The result of a row is what the run has of it: its first id, and how many tokens of it are real.
      const results = batches.map((batch) => {
        const { ids, mask, length } = padBatch(batch, tokens, 0);
        return Array.from(batch.rows, (_, i) => [
          Number(ids[i * length]) - 7,
          mask.subarray(i * length, (i + 1) * length).reduce((sum, bit) => sum + Number(bit), 0),
        ]);
      });
      assert.deepEqual(
        restoreOrder(batches, results),
        rows.map((length, i) => [i, length]),
      );
    }),
  );
});

test('no run has more rows than allowed, nor more tokens unless one row alone has them', () => {
  fc.assert(
    fc.property(lengths, limits, (rows, { maxTokens, maxRows }) => {
      for (const batch of planBatches(rows, { maxTokens, maxRows })) {
        assert.ok(batch.rows.length <= maxRows);
        assert.ok(batch.rows.length === 1 || batch.rows.length * batch.length <= maxTokens);
        assert.equal(batch.length, Math.max(...Array.from(batch.rows, (row) => rows[row]!)));
      }
    }),
  );
});

test('rows of similar length share a run', () => {
  const batches = planBatches([3, 400, 4, 399], { maxTokens: 800, maxRows: 2 });
  assert.deepEqual(
    batches.map(({ rows, length }) => [[...rows], length]),
    [
      [[1, 3], 400],
      [[2, 0], 4],
    ],
  );
});

test('a request larger than a batch is split, and one of no rows has no runs', () => {
  assert.equal(planBatches(new Array(100).fill(10), { maxTokens: 10_000, maxRows: 32 }).length, 4);
  assert.deepEqual(planBatches([], { maxTokens: 1, maxRows: 1 }), []);
  assert.deepEqual(restoreOrder([], []), []);
});

test('padding is on the right, or on the left, with the id of the padding and a mask of 0', () => {
  const tokens = [
    { ids: Int32Array.of(5, 6, 7), typeIds: Uint8Array.of(0, 1, 1) },
    { ids: Int32Array.of(8), typeIds: Uint8Array.of(1) },
  ];
  const batch = planBatches([3, 1], { maxTokens: 100, maxRows: 10 })[0]!;
  const right = padBatch(batch, tokens, 9);
  assert.deepEqual([...right.ids], [5n, 6n, 7n, 8n, 9n, 9n]);
  assert.deepEqual([...right.mask], [1n, 1n, 1n, 1n, 0n, 0n]);
  assert.deepEqual([...right.typeIds], [0n, 1n, 1n, 1n, 0n, 0n]);
  const left = padBatch(batch, tokens, 9, 'left');
  assert.deepEqual([...left.ids], [5n, 6n, 7n, 9n, 9n, 8n]);
  assert.deepEqual([...left.mask], [1n, 1n, 1n, 0n, 0n, 1n]);
});
