import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batch, type Json, linesOf, metric, predict } from '../../helpers/calls.ts';
import { type Host, type HostKind, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import {
  fixedBatch,
  poisonable,
  rowsSeeEachOther,
  scalarOutput,
  sequenceAxis,
  softmaxAxis0,
} from '../../helpers/models.ts';

type Matrix = readonly (readonly number[])[];

/** What each model gives for a whole tensor of its own, computed here. */
export const NOT_JOINED: [title: string, model: () => Uint8Array, expected: (x: Matrix) => unknown][] = [
  ['a sequence axis', sequenceAxis, (x) => x.map((_, i) => columns(x.slice(0, i + 1), sum))],
  [
    'a softmax over axis 0',
    softmaxAxis0,
    (x) => x.map((row) => row.map((value, c) => Math.exp(value) / sum(column(x, c).map(Math.exp)))),
  ],
  [
    'rows that see each other',
    rowsSeeEachOther,
    (x) => x.map((row) => row.map((value, c) => value - sum(column(x, c)) / x.length)),
  ],
  ['one number for all rows', () => scalarOutput(), (x) => sum(x.flat())],
];

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const column = (x: Matrix, c: number): number[] => x.map((row) => row[c]!);
const columns = (x: Matrix, fold: (values: readonly number[]) => number): number[] =>
  x[0]!.map((_, c) => fold(column(x, c)));

/** A tensor of one to three rows, another for each `i`. */
function tensor(i: number): number[][] {
  return Array.from({ length: 1 + (i % 3) }, (_, r) => [i / 8, r + i / 16, -i / 4]);
}

function assertClose(got: Json, expected: unknown, at: string): void {
  if (Array.isArray(expected)) {
    assert.equal(got.length, expected.length, at);
    for (const [i, value] of expected.entries()) assertClose(got[i], value, `${at}[${i}]`);
  } else assert.ok(Math.abs(got - (expected as number)) < 1e-4, `${at} is ${got}, expected ${expected}`);
}

/** Models whose rows see each other. @param at the host with the model of this title behind /predict */
export function notJoined(at: (title: string) => () => Host): void {
  describe('rows that are not joined', { concurrency: 1 }, () => {
    for (const [title, , expected] of NOT_JOINED) {
      describe(title, { concurrency: 1 }, () => {
        const host = at(title);

        test('gives 60 requests at once what it gives each alone', async () => {
          const asked = Array.from({ length: 60 }, (_, i) => tensor(i));
          const alone: string[] = [];
          for (const x of asked) alone.push((await predict(host(), x)).text);
          const together = await Promise.all(asked.map(async (x) => (await predict(host(), x)).text));
          assert.deepEqual(together, alone);
          for (const [i, text] of together.entries())
            assertClose(JSON.parse(text).prediction, expected(asked[i]!), `request ${i}`);
        });

        test('gives each row of a batch what it gives it alone', async () => {
          const asked = Array.from({ length: 20 }, (_, i) => ({ features: tensor(i) }));
          const lines = linesOf(await batch(host(), asked));
          assert.deepEqual(lines.pop(), { done: true, ok: 20, failed: 0 });
          for (const [i, { prediction }] of lines.entries())
            assertClose(prediction, expected(asked[i]!.features), `row ${i}`);
        });
      });
    }
  });
}

/** Who shares a run with whom, and that nobody can tell. */
export function company(kind: HostKind): void {
  describe('company', { concurrency: 2 }, () => {
    describe('a fixed first dimension', { concurrency: 1 }, () => {
      const host = useHost(kind, () => ({ MODEL_URI: modelFolder('fixed', fixedBatch()), INFERENCE_PROCESSES: '2' }));

      test('is answered row by row, at once and in batches', async () => {
        const asked = Array.from({ length: 40 }, (_, i) => [i, 1, -i, 0.5]);
        const answers = await Promise.all(asked.map((row) => predict(host(), row)));
        for (const [i, { json }] of answers.entries()) assert.deepEqual(json().prediction, [i + 1, 0.5 - i]);
        const lines = linesOf(
          await batch(
            host(),
            asked.map((features) => ({ features })),
          ),
        );
        for (const [i, line] of lines.slice(0, -1).entries()) assert.deepEqual(line.prediction, [i + 1, 0.5 - i]);
        assert.deepEqual(lines.at(-1), { done: true, ok: 40, failed: 0 });
        assert.equal((await predict(host(), [[1, 2, 3, 4]])).status, 200, 'a whole tensor is taken, too');
        assert.equal(
          (
            await predict(host(), [
              [1, 2, 3, 4],
              [1, 2, 3, 4],
            ])
          ).status,
          400,
        );
      });
    });

    describe('a poisoned row', { concurrency: 1 }, () => {
      const env = { INFERENCE_PROCESSES: '1', BATCH_DELAY_MS: '50' };
      const host = useHost(kind, () => ({ MODEL_URI: modelFolder('poisonable', poisonable()), ...env }));

      test('fails alone among many that share its run', async () => {
        const asked = Array.from({ length: 60 }, (_, i) => (i === 17 ? -1 : i));
        const answers = await Promise.all(asked.map((x) => predict(host(), [x])));
        for (const [i, { status, json }] of answers.entries()) {
          if (i === 17) {
            assert.deepEqual([status, json().code], [500, 'MODEL_FAILED']);
            assert.match(json().error, /the model failed on this input/);
          } else assert.deepEqual([status, json().prediction], [200, [2 * i]]);
        }
        const [runs, rows] = [
          await metric(host(), 'prediction_rows_per_run_count'),
          await metric(host(), 'prediction_rows_per_run_sum'),
        ];
        assert.ok(rows > 2 * runs, `${rows} rows in ${runs} runs: they were not joined, which this test is about`);
        assert.equal(await metric(host(), 'engine_restarts_total'), 0, 'a failed run costs no process');
      });

      test('fails alone in a batch', async () => {
        const lines = linesOf(
          await batch(
            host(),
            Array.from({ length: 50 }, (_, i) => ({ features: i % 10 === 3 ? -i : i })),
          ),
        );
        assert.deepEqual(lines.pop(), { done: true, ok: 45, failed: 5 });
        for (const [i, line] of lines.entries()) {
          if (i % 10 === 3) assert.deepEqual([line.index, line.error.code], [i, 'MODEL_FAILED']);
          else assert.deepEqual([line.index, line.prediction], [i, [2 * i]]);
        }
      });
    });
  });
}
