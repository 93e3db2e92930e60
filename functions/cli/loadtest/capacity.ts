import type { Clock } from './generator/clock.ts';

/** What a trial at a rate has shown. */
export interface Trial {
  /** Requests per second that were to be sent. */
  readonly rate: number;
  /** The objectives were met, and the server kept up with the rate. */
  readonly met: boolean;
  /** The generator itself could not keep its schedule: nothing is known about the server. */
  readonly isGeneratorsLimit: boolean;
}

interface SearchOptions {
  /** The first rate. */
  readonly from: number;
  /** Ends when the highest rate that met the objectives is within this part of the lowest that did not. */
  readonly precision: number;
  /** No trial begins that would end later than so many ms after the start. */
  readonly withinMs: number;
  readonly trialMs: number;
  readonly clock: Pick<Clock, 'now'>;
}

/** The result of a search. */
export interface Capacity<T extends Trial> {
  /** The highest rate that met the objectives; undefined if none did. */
  readonly rate: number | undefined;
  /** The trial at that rate, or else the last. */
  readonly best: T;
  readonly trials: readonly T[];
  /** Why it ended: the search is precise enough, the time is over, or the generator is the limit. */
  readonly ended: 'precise' | 'time' | 'generator';
}

/** Below this rate nothing is searched. */
const LEAST_RATE = 0.5;

/**
 * Searches the highest rate that meets the objectives: doubles the rate until they are missed, then halves the distance. If the
 * first rate misses them, it is halved until they are met.
 * @param measure runs a trial
 */
export async function findCapacity<T extends Trial>(
  measure: (rate: number) => Promise<T>,
  { from, precision, withinMs, trialMs, clock }: SearchOptions,
): Promise<Capacity<T>> {
  const trials: T[] = [];
  const startAt = clock.now();
  let best: T | undefined;
  let missed = Number.POSITIVE_INFINITY;
  const result = (ended: Capacity<T>['ended']): Capacity<T> => {
    return { rate: best?.rate, best: best ?? trials.at(-1)!, trials, ended };
  };
  for (let rate = from; ; ) {
    const trial = await measure(rate);
    trials.push(trial);
    if (trial.met) best = trial;
    else if (trial.isGeneratorsLimit) return result('generator');
    else missed = rate;
    const met = best?.rate ?? 0;
    const isBounded = missed !== Number.POSITIVE_INFINITY;
    if (isBounded && (missed - met <= precision * missed || missed < LEAST_RATE)) return result('precise');
    if (clock.now() - startAt + trialMs > withinMs) return result('time');
    rate = isBounded ? (met + missed) / 2 : rate * 2;
  }
}
