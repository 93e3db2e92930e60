import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHistogram } from '../../../../functions/cli/loadtest/generator/histogram.ts';

/** A value between `low` and `high` ms, spread evenly over the decades; a fixed sequence. */
function* spread(low: number, high: number, count: number): Generator<number> {
  let seed = 12345;
  for (let i = 0; i < count; i += 1) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    yield low * (high / low) ** (seed / 2147483648);
  }
}

test('every quantile is within 1 % of the sorted records, from 10 microseconds to 100 seconds', () => {
  const histogram = createHistogram();
  const values = [...spread(0.01, 100_000, 20_000)];
  for (const value of values) histogram.record(value);
  values.sort((a, b) => a - b);
  for (const q of [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]) {
    const exact = values[Math.ceil(q * values.length) - 1]!;
    const error = Math.abs(histogram.quantile(q) - exact) / exact;
    assert.ok(error <= 0.01, `quantile ${q}: ${histogram.quantile(q)} against ${exact}`);
  }
  assert.equal(histogram.max(), values.at(-1));
  assert.equal(histogram.count(), 20_000);
});

test('neighbouring latencies fall in order: a larger one never reads smaller', () => {
  let previous = 0;
  for (let ms = 0.0001; ms < 200_000; ms *= 1.003) {
    const histogram = createHistogram();
    histogram.record(ms);
    histogram.record(1e9);
    const read = histogram.quantile(0.5);
    assert.ok(read >= previous, `${ms} ms read as ${read} after ${previous}`);
    previous = read;
    if (ms > 1) ms *= 1.2;
  }
});

test('a quantile is never above the largest record', () => {
  const histogram = createHistogram();
  histogram.record(1.0001);
  assert.equal(histogram.quantile(0.99), histogram.max());
});

test('an empty or a cleared histogram reads 0', () => {
  const histogram = createHistogram();
  assert.equal(histogram.quantile(0.5), 0);
  histogram.record(3);
  histogram.clear();
  assert.deepEqual([histogram.quantile(0.99), histogram.max(), histogram.count()], [0, 0, 0]);
});
