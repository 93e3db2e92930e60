import { setImmediate as turn } from 'node:timers/promises';
import type { Cancellation, Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { type Chunk, predictChunks } from '../../model/serving/predict-chunks.ts';
import type { ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { InstanceGroup, Instances } from './instances.ts';

/**
 * Writes the JSON of one instance's prediction.
 * @param outputs in the order of the signature.
 * @param row the index of the instance's row in the outputs; `ALL_ROWS` if all rows are the instance's.
 * @param isRow whether the instance is one row, and not an entire tensor with the batch dimension.
 * @throws ServingError
 */
export type WriteInstance = (outputs: readonly Tensor[], row: number, isRow: boolean) => string;

/** Most characters of all predictions of a request, which are joined to one text. */
const MAX_CHARACTERS = 2 ** 26;
/** Characters that are written before other requests get their turn: they take about a millisecond. */
const TURN_CHARACTERS = 2 ** 17;

/**
 * Runs all instances of a request, counts them, and writes a text for each, in their order. If one fails, the request fails.
 * @throws ServingError the error of an instance, with its place: `instances[3]`; `OVERLOADED` if the queue is full; `TOO_LARGE` if
 * the predictions are longer than a response can be; as `Generation.predict` does.
 */
export async function runInstances(
  { count, groups }: Instances,
  live: Pick<Generation, 'predict'>,
  cancellation: Cancellation,
  recorder: ModelRecorder,
  write: WriteInstance,
): Promise<string[]> {
  const texts = new Array<string>(count).fill('');
  let characters = 0;
  let turnAt = TURN_CHARACTERS;
  let hasRun = false;

  async function writeChunk(chunk: Chunk, outcomes: readonly Outcome[], request: Cancellation): Promise<void> {
    hasRun = true;
    const group = groups[chunk.part]!;
    let row = chunk.first;
    for (const outcome of outcomes) {
      if ('error' in outcome) throw named(outcome.error, placeOf(group, row));
      for (let i = 0; i < outcome.rows; i++, row++) {
        const place = placeOf(group, row);
        texts[place] = writeOne(outcome, i, group.isRow, place);
        characters += texts[place].length + 1;
        if (characters < turnAt) continue;
        if (characters > MAX_CHARACTERS) throw tooLong();
        await turn();
        if (request.cancelled) return;
        turnAt = characters + TURN_CHARACTERS;
      }
    }
  }

  function writeOne(
    outcome: Extract<Outcome, { outputs: unknown }>,
    row: number,
    isRow: boolean,
    place: number,
  ): string {
    try {
      return write(outcome.outputs, outcome.first + row, isRow);
    } catch (error) {
      throw error instanceof ServingError ? named(error, place) : error;
    }
  }

  try {
    const parts = groups.map(({ feeds }) => feeds);
    await predictChunks(live, parts, cancellation, writeChunk);
  } catch (error) {
    if (hasRun) recorder.rows(0, count);
    throw error;
  }
  recorder.rows(count, 0);
  return texts;
}

const placeOf = ({ places }: InstanceGroup, row: number): number => places?.[row] ?? row;

function named(error: ServingError, place: number): ServingError {
  const { code, message, retryAfter, cause } = error;
  const path = `instances[${place}]`;
  const details = { path, cause, ...(retryAfter === undefined ? {} : { retryAfter }) };
  return new ServingError(code, `${path}: ${message}`, details);
}

function tooLong(): ServingError {
  const message = `the predictions take more than ${MAX_CHARACTERS} characters: send fewer instances, or NDJSON to /batch_predict`;
  return new ServingError('TOO_LARGE', message);
}
