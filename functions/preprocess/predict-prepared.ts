import { type Feeds, findMisfit, keyOf, stackRows } from '../engine/batch-rows.ts';
import { type AdmissionOptions, ALL_ROWS, type Batcher, type Outcome, type RequestTerms } from '../engine/batcher.ts';
import { ServingError } from '../errors.ts';
import { sliceRows } from '../tensor/compare.ts';
import type { PreprocessOptions, Preprocessor } from './preprocessor.ts';

/** A row without an outcome: the batcher gives each row one. */
const LOST = new ServingError('INTERNAL', 'the row was lost');

/**
 * Prepares rows, and runs those that could be prepared. Rows of one key are queued together if rows share runs.
 * @param joinsRows whether a run may have several rows
 * @returns an outcome for each row, in their order
 * @throws as `Batcher.predict` does
 */
export async function predictPrepared(
  {
    preprocessor,
    batcher,
    joinsRows,
  }: { preprocessor: Preprocessor; batcher: Pick<Batcher, 'predict'>; joinsRows: boolean },
  feeds: Feeds,
  terms: RequestTerms,
  options?: AdmissionOptions & PreprocessOptions,
): Promise<readonly Outcome[]> {
  const rows = await preprocessor.prepare(feeds, terms, options);
  const outcomes: Outcome[] = rows.map((row) => ({ rows: 1, error: 'error' in row ? row.error : LOST }));
  const groups = new Map<string | number, number[]>();
  for (const [place, row] of rows.entries()) {
    if ('error' in row) continue;
    const key = joinsRows ? keyOf(row.feeds) : place;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [place]);
    else group.push(place);
  }
  const own = groups.size > 1 ? cancelledTogether(terms) : undefined;
  await Promise.all(
    [...groups.values()].map(async (places) => {
      const feedsOf = (place: number): Feeds => (rows[place] as { feeds: Feeds }).feeds;
      const settled = await batcher
        .predict(stackRows(places.map(feedsOf)), own?.terms ?? terms, options)
        .catch(own?.cancel);
      const finished: Promise<void>[] = [];
      let at = 0;
      for (const outcome of settled) {
        for (let row = 0; row < outcome.rows; row++, at++) {
          const place = places[at]!;
          const one = outcomeOf(outcome, row, joinsRows);
          outcomes[place] = one;
          if (preprocessor.finish === undefined || 'error' in one) continue;
          finished.push(
            finish(preprocessor, feedsOf(place), one, terms, options).then((done) => {
              outcomes[place] = done;
            }),
          );
        }
      }
      await Promise.all(finished);
    }),
  );
  return outcomes;
}

/** The terms of the groups of a request: `cancel` rethrows the error of one, and cancels the others, which nobody waits for then. */
function cancelledTogether(terms: RequestTerms) {
  const { deadline, priority, caller } = terms;
  let hasFailed = false;
  return {
    terms: {
      deadline,
      priority,
      caller,
      get cancelled() {
        return hasFailed || terms.cancelled;
      },
    },
    cancel(error: unknown): never {
      hasFailed = true;
      throw error;
    },
  };
}

/** The outcome of one row of those of `outcome`. Unless rows are joined, outputs need not have one row: then all is that of the row. */
function outcomeOf(outcome: Outcome, row: number, joinsRows: boolean): Outcome {
  if ('error' in outcome) return { rows: 1, error: outcome.error };
  const { outputs, first } = outcome;
  const isWhole = first === ALL_ROWS || (!joinsRows && first === 0 && findMisfit(outputs, 1) !== undefined);
  return { rows: 1, outputs, first: isWhole ? ALL_ROWS : first + row };
}

async function finish(
  preprocessor: Preprocessor,
  prepared: Feeds,
  { outputs, first }: Exclude<Outcome, { error: ServingError }>,
  terms: RequestTerms,
  options: AdmissionOptions | undefined,
): Promise<Outcome> {
  if (first === ALL_ROWS && preprocessor.finishesWhole !== true) {
    const message = `the model gave ${outputs.map(({ dims }) => `[${dims}]`).join(' and ')} for one row: expected one row in each output`;
    return { rows: 1, error: new ServingError('MODEL_FAILED', message) };
  }
  try {
    const own = first === ALL_ROWS ? outputs : outputs.map((output) => sliceRows(output, first, 1));
    return { rows: 1, outputs: await preprocessor.finish!(prepared, own, terms, options), first: 0 };
  } catch (error) {
    if (error instanceof ServingError) return { rows: 1, error };
    throw error;
  }
}
