import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ask, quiet, range, request, setUpBatcher } from '../helpers/runner.ts';
import { float32 } from '../helpers/tensors.ts';

/** What a row does to a run that it is in. */
type Fate = 'ok' | 'failed' | 'crashed' | 'timed-out' | 'misfit';

type Step =
  | { readonly kind: 'arrive'; readonly fates: readonly Fate[]; readonly rank: number }
  | { readonly kind: 'leave' | 'end' | 'replace'; readonly which: number };

const fates = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Fate>('ok') },
  { weight: 2, arbitrary: fc.constant<Fate>('failed') },
  { weight: 1, arbitrary: fc.constantFrom<Fate>('crashed', 'timed-out', 'misfit') },
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('arrive' as const),
      fates: fc.array(fates, { minLength: 1, maxLength: 9 }),
      rank: fc.integer({ min: 2, max: 3 }),
    }),
    fc.record({
      kind: fc.constantFrom('leave' as const, 'end' as const, 'end' as const, 'replace' as const),
      which: fc.nat(50),
    }),
  ),
  { minLength: 1, maxLength: 40 },
);

test('in any order of arrivals, failures, crashes and cancellations, each request settles once, with its own rows in order', async () => {
  const world = fc.record({
    steps,
    engines: fc.integer({ min: 1, max: 3 }),
    maxBatchSize: fc.integer({ min: 1, max: 8 }),
    maxBatchBytes: fc.integer({ min: 1, max: 40 }),
    maxQueueSize: fc.integer({ min: 1, max: 40 }),
  });
  await fc.assert(fc.asyncProperty(world, playOut), { numRuns: 300 });
});

async function playOut({
  steps,
  engines,
  ...options
}: {
  steps: Step[];
  engines: number;
  maxBatchSize: number;
  maxBatchBytes: number;
  maxQueueSize: number;
}) {
  let misfits = 0;
  let joined = Number.POSITIVE_INFINITY;
  const onMisfit = (): void => {
    misfits++;
    joined = runner.runs.length;
  };
  const { runner, batcher } = setUpBatcher({ ...options, onMisfit }, engines);
  const rows: Fate[] = [];
  const requests: { asked: ReturnType<typeof ask>; first: number; fates: readonly Fate[]; rank: number }[] = [];
  let checked = 0;

  function checkRuns(): void {
    for (; checked < runner.runs.length; checked++) {
      const { inputs, values } = runner.runs[checked]!;
      // An engine that becomes free takes its next run before what it gave is looked at.
      assert.ok(values.length === 1 || checked < joined, 'rows were joined after a run that showed they must not be');
      assert.ok(values.length >= 1 && values.length <= options.maxBatchSize, `${values.length} rows in a run`);
      // A row is a float32.
      assert.ok(
        values.length === 1 || values.length * 4 <= options.maxBatchBytes,
        `${values.length * 4} bytes in a run`,
      );
      for (const value of values) {
        const { asked, rank } = requests.find(({ first, fates }) => value >= first && value < first + fates.length)!;
        assert.ok(!asked.cancellation.cancelled, 'a row was run whose owner had left');
        assert.equal(inputs[0]!.dims.length, rank, 'a row was run in a tensor of another shape');
      }
    }
  }

  function end(which: number): void {
    const run = runner.open[which % runner.open.length];
    const worst = (['crashed', 'timed-out', 'failed'] as const).find((fate) =>
      run?.values.some((value) => rows[value] === fate),
    );
    const misfit = run?.values.some((value) => rows[value] === 'misfit');
    if (worst !== undefined) run!.fail(worst);
    else if (misfit) {
      const values = [...run!.values, -1].map((value) => value * 10);
      run!.finish([float32([values.length, 1], values)]);
    } else run?.finish();
  }

  for (const step of steps) {
    if (step.kind === 'arrive') {
      const first = rows.push(...step.fates) - step.fates.length;
      requests.push({
        asked: ask(batcher, request(range(first, step.fates.length), step.rank)),
        first,
        fates: step.fates,
        rank: step.rank,
      });
    } else if (step.kind === 'end') end(step.which);
    else if (step.kind === 'replace' && runner.dead() > 0) runner.replace();
    else if (step.kind === 'leave' && requests.length > 0) {
      checkRuns();
      requests[step.which % requests.length]!.asked.cancellation.cancelled = true;
    }
    if (step.kind !== 'arrive') await quiet();
    checkRuns();
  }
  for (await quiet(); runner.open.length > 0 || runner.dead() > 0; await quiet()) {
    checkRuns();
    if (runner.dead() > 0) runner.replace();
    else end(0);
  }

  checkRuns();
  assert.equal(batcher.depth(), 0);
  assert.ok(misfits <= 1, 'reported once');
  for (const { asked, first, fates } of requests) {
    assert.equal(asked.times, 1, 'settled once');
    if (!Array.isArray(asked.settled)) {
      assert.ok(
        asked.settled === 'OVERLOADED' || (asked.settled === 'CLIENT_GONE' && asked.cancellation.cancelled),
        String(asked.settled),
      );
      continue;
    }
    assert.equal(asked.settled.length, fates.length);
    const deadly = fates.includes('crashed') || fates.includes('timed-out');
    for (const [i, got] of asked.settled.entries()) {
      const own = (first + i) * 10;
      if (typeof got === 'number') assert.deepEqual([got, fates[i]], [own, 'ok']);
      else if (fates[i] === 'misfit' && got.startsWith('whole')) assert.equal(got, `whole ${own},-10`);
      // A row that ends its process takes the rows of its own request with it, as they ran alone together.
      else assert.ok(fates[i] !== 'ok' || deadly, `row ${i} failed among good rows: ${got}`);
    }
  }
}
