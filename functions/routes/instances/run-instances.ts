import { setImmediate as turn } from 'node:timers/promises';
import { stackSpans } from '../../engine/batch-rows.ts';
import type { Cancellation, Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { InstanceGroup, Instances } from './instances.ts';

/** The JSON of one instance's prediction. @param isRow as `RowWriter.write` has it. @throws ServingError */
export type WriteInstance = (outputs: readonly Tensor[], row: number, isRow: boolean) => string;

/** Rows of one request that are queued as one: others must find a place between them, and the event loop its turn. */
const PIECE_ROWS = 256;
const PIECES_IN_FLIGHT = 4;
/** Of the queue, the pieces of a request take half. */
const SHARE = 0.5;
/** How often a piece that found the queue full knocks again. */
const KNOCK_MS = 20;
/** What all predictions of a request take at most: they are one text, which is put together and sent in one go. */
const MAX_CHARACTERS = 2 ** 26;
/** Predictions that are written before others get their turn: about a millisecond. */
const TURN_CHARACTERS = 2 ** 17;

/** Rows `first` up to `first + rows` of a group. */
interface Piece {
  readonly group: InstanceGroup;
  readonly first: number;
  readonly rows: number;
}

/**
 * Runs all instances of a request and gives a text for each, in their order. One that fails fails the request.
 * @throws ServingError what an instance failed with, with its place: `instances[3]`; `OVERLOADED` where the queue is full;
 * `TOO_LARGE` where the predictions are longer than one answer can be; as `Generation.predict` does.
 */
export async function runInstances(
  { count, groups }: Instances,
  live: Pick<Generation, 'predict'>,
  cancellation: Cancellation,
  recorder: ModelRecorder,
  write: WriteInstance,
): Promise<string[]> {
  const texts = new Array<string>(count).fill('');
  const pieces = cut(groups);
  const share = count > PIECE_ROWS || groups.length > PIECES_IN_FLIGHT ? SHARE : 1;
  let characters = 0;
  let turnAt = TURN_CHARACTERS;
  let begun = false;
  let over = false;

  async function work(): Promise<void> {
    for (const piece of pieces) {
      if (over) return;
      try {
        await runPiece(piece);
      } catch (error) {
        over = true;
        throw error;
      }
    }
  }

  async function runPiece(piece: Piece): Promise<void> {
    const outcomes = await queue(piece);
    const { group, first } = piece;
    let row = first;
    for (const outcome of outcomes) {
      if ('error' in outcome) throw named(outcome.error, placeOf(group, row));
      for (let i = 0; i < outcome.rows; i++, row++) {
        const place = placeOf(group, row);
        texts[place] = writeOne(outcome, i, group.isRow, place);
        characters += texts[place].length + 1;
        if (characters < turnAt) continue;
        if (characters > MAX_CHARACTERS) throw tooLong();
        await turn();
        if (over || cancellation.gone) return;
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

  /** A full queue refuses a request by its first piece: what has begun is finished. */
  async function queue({ group, first, rows }: Piece): Promise<readonly Outcome[]> {
    const opens = group === groups[0] && first === 0;
    const feeds = rows === group.feeds.rows ? group.feeds : stackSpans([{ feeds: group.feeds, first, rows }]);
    for (;;) {
      try {
        const outcomes = await live.predict(feeds, cancellation, share);
        begun = true;
        return outcomes;
      } catch (error) {
        const full = error instanceof ServingError && error.code === 'OVERLOADED';
        if (!full || opens || over || cancellation.gone) throw error;
        await new Promise((resolve) => setTimeout(resolve, KNOCK_MS));
      }
    }
  }

  const workers = await Promise.allSettled(Array.from({ length: PIECES_IN_FLIGHT }, work));
  const failed = workers.find((worker) => worker.status === 'rejected');
  if (failed === undefined) {
    recorder.rows(count, 0);
    return texts;
  }
  if (begun) recorder.rows(0, count);
  throw failed.reason;
}

function* cut(groups: readonly InstanceGroup[]): Generator<Piece> {
  for (const group of groups) {
    for (let first = 0; first < group.feeds.rows; first += PIECE_ROWS) {
      yield { group, first, rows: Math.min(PIECE_ROWS, group.feeds.rows - first) };
    }
  }
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
