import type { JsonValue } from '../../tensor/json/reader.ts';
import type { GoldenRow } from './manifest.ts';

/** Most golden rows that a loaded model keeps, and most characters of their JSON: they are shown to people. */
const MOST_ROWS = 20;
const MOST_CHARACTERS = 64_000;

/** The first golden rows, without those that are too long: the others are checked and not kept in memory. */
export function shortRows(rows: readonly GoldenRow[]): GoldenRow[] {
  let left = MOST_CHARACTERS;
  const kept: GoldenRow[] = [];
  for (const row of rows) {
    if (kept.length === MOST_ROWS) break;
    const after = spend(row.outputs, spend(row.features, left));
    if (after < 0) continue;
    left = after;
    kept.push(row);
  }
  return kept;
}

/** What is left of `left` characters after the JSON of a value; negative if it is longer. It stops there: a row may have megabytes. */
function spend(value: JsonValue, left: number): number {
  if (typeof value === 'string') return left - JSON.stringify(value).length;
  if (typeof value !== 'object' || value === null) return left - String(value).length;
  let rest = left - 2;
  if (value instanceof Float64Array) {
    // Each element takes two characters at least.
    if (value.length * 2 - 1 > rest) return -1;
    for (let i = 0; i < value.length && rest >= 0; i++) rest -= String(value[i]).length + 1;
    return rest;
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && rest >= 0; i++) rest = spend(value[i]!, rest - 1);
    return rest;
  }
  for (const [name, inner] of Object.entries(value)) {
    if (rest < 0) return rest;
    rest = spend(inner, rest - JSON.stringify(name).length - 2);
  }
  return rest;
}
