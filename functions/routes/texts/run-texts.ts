import { setImmediate as turn } from 'node:timers/promises';
import { ALL_ROWS, type Cancellation, type Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import { chargeRows } from '../../http/quota.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { type Chunk, predictChunks } from '../../model/serving/predict-chunks.ts';
import type { TextOptions } from '../../preprocess/preprocessor.ts';
import { listNames } from '../../shorten.ts';
import type { ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TextInput } from './input.ts';

/** What is known of all rows together. */
export interface TextTotals {
  /** Tokens of all rows, special ones included; those that were cut off are not. */
  readonly tokens: number;
  /** Rows that were too long for the model, and have been cut. */
  readonly truncated: number;
}

/**
 * Takes the outputs of a row.
 * @param outputs in the order of the signature
 * @param at the index of the row in the outputs
 * @returns how many values it has written: other requests get their turn after some
 */
export type HandleText = (row: number, outputs: readonly Tensor[], at: number) => number;

/** Values that are written before other requests get their turn: they take about a millisecond. */
const TURN_VALUES = 16_384;

/**
 * Runs the texts of a request, counts them, and hands over the outputs of each. A long request is run in chunks. If one row fails, the
 * request fails.
 * @param live a model of texts, held by the caller
 * @throws ServingError the error of a row, with its place; `INVALID_INPUT` if the model has another number of inputs;
 * `QUOTA_EXCEEDED`; as `predictChunks` does
 */
export async function runTexts(
  live: Pick<Generation, 'name' | 'predict' | 'signature'>,
  { rows, parts, placeOf }: Pick<TextInput, 'rows' | 'parts' | 'placeOf'>,
  options: TextOptions,
  context: Pick<RequestContext, 'caller' | 'cancellation'>,
  recorder: Pick<ModelRecorder, 'rows'>,
  handle: HandleText,
): Promise<TextTotals> {
  requireInputs(live, parts[0]!.feeds.tensors.length, placeOf(0));
  const slots = { tokens: slotOf(live, 'tokens'), truncated: slotOf(live, 'truncated') };
  const totals = { tokens: 0, truncated: 0 };
  let hasRun = false;
  let turnAt = TURN_VALUES;
  let values = 0;

  async function handleChunk(chunk: Chunk, outcomes: readonly Outcome[], request: Cancellation): Promise<void> {
    hasRun = true;
    const { places } = parts[chunk.part]!;
    let next = chunk.first;
    for (const outcome of outcomes) {
      if ('error' in outcome) throw named(outcome.error, placeOf(places?.[next] ?? next));
      for (let i = 0; i < outcome.rows; i++, next++) {
        const row = places?.[next] ?? next;
        const at = outcome.first === ALL_ROWS ? i : outcome.first + i;
        totals.tokens += numberAt(outcome.outputs[slots.tokens], at);
        totals.truncated += numberAt(outcome.outputs[slots.truncated], at);
        values += handle(row, outcome.outputs, at);
        if (values < turnAt) continue;
        await turn();
        if (request.cancelled) return;
        turnAt = values + TURN_VALUES;
      }
    }
  }

  chargeRows(context, rows);
  const predict: Generation['predict'] = (feeds, terms, admission) =>
    live.predict(feeds, terms, { ...admission!, text: options });
  const all = parts.map(({ feeds }) => feeds);
  try {
    await predictChunks({ predict }, all, context.cancellation, handleChunk);
  } catch (error) {
    if (hasRun) recorder.rows(0, rows);
    throw error;
  }
  recorder.rows(rows, 0);
  return totals;
}

function requireInputs(
  { name, signature: { inputs } }: Pick<Generation, 'name' | 'signature'>,
  given: number,
  path: string,
): void {
  if (inputs.length === given) return;
  const own = listNames(inputs.map((input) => input.name));
  const what = given === 2 ? 'a pair of texts' : 'one text';
  const message = `${path}: expected ${own} for the model ${name}, got ${what}`;
  throw new ServingError('INVALID_INPUT', message, { path });
}

/** The place of an output that every model of texts has behind its own ones; -1 if it has none. */
const slotOf = ({ signature }: Pick<Generation, 'signature'>, name: string): number =>
  signature.outputs.findLastIndex((output) => output.name === name);

const numberAt = (tensor: Tensor | undefined, at: number): number => Number(tensor?.data[at] ?? 0);

function named(error: ServingError, path: string): ServingError {
  const { code, message, retryAfter, cause } = error;
  const details = { path, cause, ...(retryAfter === undefined ? {} : { retryAfter }) };
  return new ServingError(code, `${path}: ${message}`, details);
}
