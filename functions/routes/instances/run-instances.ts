import { setImmediate as turn } from 'node:timers/promises';
import type { Cancellation, Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { type Chunk, predictChunks } from '../../model/serving/predict-chunks.ts';
import type { ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { InstanceGroup, Instances } from './instances.ts';

/**
 * The JSON of one instance's prediction.
 * @param row which row of the outputs is the instance's; `ALL_ROWS` where all of them are.
 * @param isRow the instance is one row, and not a whole tensor with the batch dimension.
 * @throws ServingError
 */
export type WriteInstance = (outputs: readonly Tensor[], row: number, isRow: boolean) => string;

/** Characters of all predictions of a request at most: they are joined to one text, which is sent at once. */
const MAX_CHARACTERS = 2 ** 26;
/** Characters that are written before other requests get their turn: about a millisecond. */
const TURN_CHARACTERS = 2 ** 17;

/**
 * Runs all instances of a request and writes a text for each, in their order. One that fails fails the request.
 * @throws ServingError what an instance failed with, with its place: `instances[3]`; `OVERLOADED` where the queue is full;
 * `TOO_LARGE` where the predictions are longer than a response can be; as `Generation.predict` does.
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
        if (request.gone) return;
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
