import type { Profile } from './profile.ts';

/** How arrivals follow each other: at equal distances, or at random as those of many independent callers do. */
export type ArrivalKind = 'constant' | 'poisson';

/** A source of numbers from 0 (inclusive) to 1 (exclusive). */
export type Random = () => number;

/** Creates a generator of pseudo-random numbers: the same seed gives the same numbers (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Creates the times of arrivals, in seconds from the start, for a rate that a profile gives in arrivals per second. They are the
 * times at which the integral of the rate reaches the points of a process with rate 1: the integers, or the points of a Poisson process.
 * @param offset part of a distance, from 0 to 1, by which the first constant arrival is delayed: generators that share a rate alternate
 * @returns a function that returns the next time; Infinity after the last
 */
export function createArrivals(profile: Profile, kind: ArrivalKind, random: Random, offset = 0): () => number {
  let point = kind === 'constant' ? offset - 1 : 0;
  let [phase, before, start] = [0, 0, 0];
  return () => {
    point += kind === 'constant' ? 1 : -Math.log(1 - random());
    for (; phase < profile.length; phase += 1) {
      const { seconds, from, to } = profile[phase]!;
      const area = (seconds * (from + to)) / 2;
      if (point - before < area) return start + timeOf(point - before, from, (to - from) / seconds);
      before += area;
      start += seconds;
    }
    return Number.POSITIVE_INFINITY;
  };
}

/** The time t at which from·t + slope·t²/2 is `area`: the root in the form that loses no digits when the slope is small. */
function timeOf(area: number, from: number, slope: number): number {
  if (area === 0) return 0;
  return (2 * area) / (from + Math.sqrt(Math.max(0, from * from + 2 * slope * area)));
}
