/** A part of a run in which a level, a rate or a number of connections, is constant or grows linearly. */
export interface Phase {
  readonly seconds: number;
  /** The level at its start. */
  readonly from: number;
  /** The level at its end. */
  readonly to: number;
}

/** The phases of a run, in order. */
export type Profile = readonly Phase[];

const NUMBER = String.raw`\d+(?:\.\d+)?`;
const FORM = new RegExp(`^(?:${NUMBER}|${NUMBER}\\.\\.${NUMBER}|${NUMBER}(?:,${NUMBER})+)$`);

/** The levels of a profile, before its duration is known. */
export interface Levels {
  readonly kind: 'constant' | 'ramp' | 'steps';
  readonly values: readonly number[];
}

/** Parses `100`, a ramp `10..100`, or steps `10,20,50`. @returns undefined if it has none of these forms, or nothing above 0 */
export function parseLevels(text: string): Levels | undefined {
  if (!FORM.test(text)) return undefined;
  const values = text.split(/\.\.|,/).map(Number);
  const kind = text.includes('..') ? 'ramp' : text.includes(',') ? 'steps' : 'constant';
  const isUsable = kind === 'ramp' ? values.some((value) => value > 0) : values.every((value) => value > 0);
  return isUsable ? { kind, values } : undefined;
}

/** Spreads levels over a duration: steps have equal parts of it. */
export function spreadLevels({ kind, values }: Levels, seconds: number): Profile {
  if (kind === 'ramp') return [{ seconds, from: values[0]!, to: values[1]! }];
  return values.map((value) => ({ seconds: seconds / values.length, from: value, to: value }));
}

/** The level at a time in seconds; of the last phase after the end. */
export function levelAt(profile: Profile, seconds: number): number {
  let start = 0;
  for (const phase of profile) {
    if (seconds < start + phase.seconds) {
      return phase.from + ((phase.to - phase.from) * Math.max(0, seconds - start)) / phase.seconds;
    }
    start += phase.seconds;
  }
  return profile.at(-1)!.to;
}

/** The highest level. */
export const peakOf = (profile: Profile): number => Math.max(...profile.flatMap(({ from, to }) => [from, to]));
