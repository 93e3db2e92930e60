import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../functions/engine/batch-rows.ts';
import type { Outcome, RequestTerms } from '../../functions/engine/batcher.ts';
import { ServingError } from '../../functions/errors.ts';
import { predictPrepared } from '../../functions/preprocess/predict-prepared.ts';
import type { PreparedRow, Preprocessor } from '../../functions/preprocess/preprocessor.ts';
import { stringTensor } from '../helpers/text-models.ts';

const BAD = new ServingError('INVALID_INPUT', 'bad');

/** Prepares a text as an int32 row of its length; `bad` has an error. */
function preprocessor(finish?: Preprocessor['finish']): Preprocessor {
  const prepareText = (text: string): PreparedRow => {
    if (text === 'bad') return { error: BAD };
    const data = Int32Array.from(text, (character) => character.codePointAt(0)!);
    return { feeds: { tensors: [{ dtype: 'int32', dims: [1, data.length], data }], rows: 1 } };
  };
  return {
    signature: (engine) => engine,
    prepare: async ({ tensors }) => (tensors[0]!.data as string[]).map(prepareText),
    sample: async () => undefined,
    refuse: () => undefined,
    depth: () => 0,
    processes: { engines: () => [], fault: () => undefined, recycle: async () => {} },
    close: async () => {},
    ...(finish !== undefined && { finish }),
  };
}

/** Gives the first number of each row; it records how many rows each call had. */
function engine(calls: number[]) {
  return {
    async predict({ tensors, rows }: Feeds): Promise<readonly Outcome[]> {
      calls.push(rows);
      const { dims, data } = tensors[0]!;
      const firsts = Array.from({ length: rows }, (_, row) => (data as Int32Array)[row * dims[1]!]!);
      if (firsts.includes(120)) return [{ rows, error: new ServingError('MODEL_FAILED', 'x') }];
      // Behind a row of another request.
      return [{ rows, outputs: [{ dtype: 'int32', dims: [rows + 1], data: Int32Array.of(0, ...firsts) }], first: 1 }];
    },
  };
}

async function send(texts: readonly string[], joinsRows: boolean, finish?: Preprocessor['finish']) {
  const calls: number[] = [];
  const prepared = { preprocessor: preprocessor(finish), batcher: engine(calls), joinsRows };
  const outcomes = await predictPrepared(
    prepared,
    { tensors: [stringTensor(texts)], rows: texts.length },
    { cancelled: false },
  );
  const results = outcomes.map((one) => {
    if ('error' in one) return one.error.message;
    return String.fromCodePoint(Number(one.outputs[0]!.data[one.first]));
  });
  return { calls, results };
}

test('each row has its own outcome in the order of the request, and rows of one shape are queued together', async () => {
  const { calls, results } = await send(['ab', 'c', 'bad', 'de', 'f'], true);
  assert.deepEqual(results, ['a', 'c', 'bad', 'd', 'f']);
  assert.deepEqual(calls, [2, 2]);
});

test('a request of several shapes of which one is refused cancels the others', async () => {
  const refused = new ServingError('OVERLOADED', 'full');
  const seen: RequestTerms[] = [];
  const batcher = {
    predict({ tensors }: Feeds, terms: RequestTerms): Promise<readonly Outcome[]> {
      seen.push(terms);
      return tensors[0]!.dims[1] === 2 ? Promise.reject(refused) : new Promise(() => {});
    },
  };
  const feeds = { tensors: [stringTensor(['a', 'bc', 'def'])], rows: 3 };
  const terms = { cancelled: false, priority: 2, caller: 'me', deadline: 7 } as const;
  await assert.rejects(
    predictPrepared({ preprocessor: preprocessor(), batcher, joinsRows: true }, feeds, terms),
    refused,
  );
  assert.deepEqual(
    seen.map(({ cancelled, priority, caller, deadline }) => [cancelled, priority, caller, deadline]),
    new Array(3).fill([true, 2, 'me', 7]),
  );
});

test('rows are queued alone if they share no run', async () => {
  const { calls, results } = await send(['ab', 'bad', 'x', 'de'], false);
  assert.deepEqual(results, ['a', 'bad', 'x', 'd']);
  assert.deepEqual(calls, [1, 1, 1]);
});

test('outputs are finished for each row at the same time, and an error there is that of the row', async () => {
  let waiting = 0;
  const all = Promise.withResolvers<void>();
  const { results } = await send(['a', 'b', 'c'], true, async (_, outputs) => {
    if (++waiting === 3) all.resolve();
    await all.promise;
    if (outputs[0]!.data[0] === 98) throw new ServingError('INVALID_INPUT', 'not b');
    return [{ ...outputs[0]!, data: Int32Array.of(Number(outputs[0]!.data[0]) + 1) }];
  });
  assert.deepEqual(results, ['b', 'not b', 'd']);
});
