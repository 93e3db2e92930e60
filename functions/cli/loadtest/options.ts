import { InvalidArgumentError } from 'commander';
import { type Levels, parseLevels } from './generator/profile.ts';
import { FORMAT_NAMES } from './requests/format-names.ts';
import { type Objective, parseSlo, SLO_TAKES } from './slo.ts';

/** Seconds of each unit; a number alone is seconds. */
const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, '': 1 };
/** Identity tokens last an hour, and no load is without an end. */
const LONGEST_SECONDS = 3600;
const MOST_CONNECTIONS = 20_000;
const MOST_RATE = 1_000_000;
const MOST_THREADS = 64;

/** Parsers of options: each throws `InvalidArgumentError` with what the option takes. */

/** A duration: `10s`, `500ms`, `2m`. @param least in seconds */
export function readDuration(least: number): (text: string) => number {
  return (text) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text) ?? [];
    const seconds = Number(number) * SECONDS[unit ?? '']!;
    if (seconds >= least && seconds <= LONGEST_SECONDS) return seconds;
    const from = least === 0 ? '' : `, from ${least * 1000}ms`;
    throw new InvalidArgumentError(`It takes a duration such as 10s, 500ms or 2m${from} and at most 1h.`);
  };
}

/** A whole number. */
export function readCount(least: number, most: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (count >= least && count <= most) return count;
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
  };
}

export const readConnections = (text: string): Levels => readLevels(text, MOST_CONNECTIONS, true);
export const readRate = (text: string): Levels => readLevels(text, MOST_RATE, false);
export const readMaxConnections = readCount(1, MOST_CONNECTIONS);
export const readThreads = readCount(1, MOST_THREADS);

function readLevels(text: string, most: number, isWhole: boolean): Levels {
  const levels = parseLevels(text);
  if (levels?.values.every((value) => value <= most && (!isWhole || Number.isInteger(value)))) return levels;
  const number = isWhole ? 'a whole number' : 'a number';
  throw new InvalidArgumentError(
    `It takes ${number} from 1 to ${most}, a ramp such as 10..100, or steps such as 10,20,50.`,
  );
}

export function readSlo(text: string): readonly Objective[] {
  const objectives = parseSlo(text);
  if (objectives !== undefined) return objectives;
  throw new InvalidArgumentError(SLO_TAKES);
}

/** One of some names. */
export function readChoice<T extends string>(names: readonly T[]): (text: string) => T {
  return (text) => {
    const found = names.find((name) => name === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`It takes ${names.slice(0, -1).join(', ')} or ${names.at(-1)}.`);
  };
}

export const readFormat = readChoice(FORMAT_NAMES);
export const readArrivals = readChoice(['poisson', 'constant'] as const);

export function readTolerance(text: string): number {
  const tolerance = /^\d/.test(text) ? Number(text) : Number.NaN;
  if (tolerance >= 0 && Number.isFinite(tolerance)) return tolerance;
  throw new InvalidArgumentError('It takes a number from 0, such as 1e-4.');
}
