import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { sigmoid, softmaxRows } from '../../functions/text/pooling.ts';
import { loadText, predictTexts, type RowOutputs } from '../helpers/text-models.ts';
import { type Case, expectedOf, readInputs } from '../text/refs.ts';

const INPUTS = readInputs();
const TOLERANCE = 1e-4;

function assertClose(got: ArrayLike<number | string>, expected: ArrayLike<number>, place: string): void {
  assert.equal(got.length, expected.length, place);
  for (let i = 0; i < got.length; i++) {
    const difference = Math.abs(Number(got[i]) - expected[i]!);
    assert.ok(difference <= TOLERANCE, `${place}: [${i}] is ${got[i]}, and torch gives ${expected[i]}`);
  }
}

function outputsOf(row: RowOutputs | ServingError | undefined): RowOutputs {
  if (row instanceof ServingError) throw row;
  return row!;
}

/** The outputs of every case of a model, sent as one request and then alone. */
async function runCases(t: Parameters<typeof loadText>[0], model: string) {
  const { cases } = expectedOf(model);
  const generation = await loadText(t, model);
  assert.deepEqual([generation.batching.decidedBy, generation.joinsRows], ['proof', true]);
  assert.equal(generation.batching.enabled, true, generation.batching.reason);
  const inputs = cases.map(({ id }) => INPUTS.get(id)!);
  const hasPairs = inputs[0]!.second !== undefined;
  const send = (chosen: typeof inputs) =>
    predictTexts(
      generation,
      chosen.map(({ first }) => first),
      hasPairs ? { pairs: chosen.map(({ second }) => second!) } : {},
    );
  const together = await send(inputs);
  const results: { expected: Case; together: RowOutputs; alone: RowOutputs }[] = [];
  for (const [i, expected] of cases.entries()) {
    const [alone] = await send([inputs[i]!]);
    results.push({ expected, together: outputsOf(together[i]), alone: outputsOf(alone) });
  }
  return results;
}

/** Asserts that a row tells how many tokens it had, and whether it was truncated. */
function assertTokens(
  { tokens, truncated }: RowOutputs,
  { id, input_ids: ids, untruncated_length: length }: Case,
): void {
  assert.deepEqual(tokens, [ids.length], id);
  assert.deepEqual(truncated, [length !== undefined && length > ids.length ? 1 : 0], id);
}

test('every reference text is embedded as by torch, in shared runs and alone, and truncation is told', async (t) => {
  const results = await runCases(t, 'text-embedding-bert');
  for (const { expected, together, alone } of results) {
    for (const row of [together, alone]) {
      assertClose(row.embedding!, expected.embedding!, expected.id);
      assertTokens(row, expected);
    }
  }
  assert.ok(results.some(({ alone }) => alone.truncated![0] === 1));
});

test('every reference text is classified as by torch', async (t) => {
  for (const { expected, together, alone } of await runCases(t, 'text-classifier')) {
    for (const row of [together, alone]) {
      assertClose(row.logits!, expected.logits!, expected.id);
      const logits = Float32Array.from(row.logits as readonly number[]);
      assertClose(softmaxRows(logits, 3), expected.softmax!, expected.id);
      assertClose(sigmoid(logits), expected.sigmoid as number[], expected.id);
      assertTokens(row, expected);
    }
  }
});

test('every reference pair is scored as by torch', async (t) => {
  for (const { expected, together, alone } of await runCases(t, 'reranker')) {
    for (const row of [together, alone]) {
      assertClose(row.logits!, [expected.logit!], expected.id);
      assertTokens(row, expected);
    }
  }
});

test('documents are ranked as by the reference', async (t) => {
  const { query, documents, best_first: best } = expectedOf('reranker').settings.ranking!;
  const generation = await loadText(t, 'reranker');
  const rows = await predictTexts(
    generation,
    documents.map(() => query),
    { pairs: documents },
  );
  const scores = rows.map((row) => Number(outputsOf(row).logits![0]));
  const order = [...documents.keys()].sort((a, b) => scores[b]! - scores[a]!);
  assert.deepEqual(
    order,
    best.map(({ index }) => index),
  );
  for (const { index, logit } of best) assertClose([scores[index]!], [logit], `document ${index}`);
});
