import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFigure, formatObjective, judge, parseSlo } from '../../../functions/cli/loadtest/slo.ts';
import type { LoadResult } from '../../../functions/cli/loadtest/summary.ts';

test('objectives are latencies with a unit, errors in percent, and a rate', () => {
  assert.deepEqual(parseSlo('p99=50ms,errors=0.1%, rate=1000'), [
    { figure: 'p99', limit: 50 },
    { figure: 'errors', limit: 0.001 },
    { figure: 'rate', limit: 1000 },
  ]);
  assert.deepEqual(parseSlo('p50=800us,max=2s,mean=1.5ms,errors=0'), [
    { figure: 'p50', limit: 0.8 },
    { figure: 'max', limit: 2000 },
    { figure: 'mean', limit: 1.5 },
    { figure: 'errors', limit: 0 },
  ]);
});

for (const text of [
  '',
  'p99',
  'p99=',
  'p99=50',
  'p99=-1ms',
  'p99=0ms',
  'p98=1ms',
  'errors=1',
  'errors=101%',
  'errors=1ms',
  'rate=0',
  'rate=1%',
  'p99=1ms,',
  'p99=1ms,p99=2ms',
  'p99<1ms',
  'toString=1ms',
]) {
  test(`'${text}' is refused`, () => assert.equal(parseSlo(text), undefined));
}

const latency = { mean: 1, p50: 1, p90: 2, p95: 3, p99: 50, p999: 60, max: 70 };
const result = { requests: 1000, ok: 999, errorRate: 0.001, rate: 100, latency } as LoadResult;
const met = (slo: string, of: LoadResult = result): boolean[] =>
  judge(parseSlo(slo)!, of).map((verdict) => verdict.met);

test('a limit itself is met, what is beyond it is not', () => {
  assert.deepEqual(met('p99=50ms,errors=0.1%,rate=100'), [true, true, true]);
  assert.deepEqual(met('p99=49.9ms,errors=0.09%,rate=101'), [false, false, false]);
});

test('a load without a successful request meets no latency, and one without requests nothing', () => {
  const none = { ...latency, p99: 0 };
  assert.deepEqual(met('p99=50ms', { ...result, ok: 0, latency: none }), [false]);
  assert.deepEqual(met('errors=100%', { ...result, requests: 0, ok: 0, errorRate: 0 }), [false]);
});

test('objectives are shown with their units', () => {
  const shown = parseSlo('p99=50ms,errors=0.1%,rate=1000')!.map(formatObjective);
  assert.deepEqual(shown, ['p99 ≤ 50.0 ms', 'errors ≤ 0.1 %', 'rate ≥ 1,000 per second']);
  assert.equal(formatFigure('errors', 0.00001), '0.0010 %');
});
