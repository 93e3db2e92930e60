import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MANIFEST_FILE } from '../../model/folder/layout.ts';
import type { Change, PlannedFile } from './settings.ts';

/** The fields of a first `model.json`, in their order. Those that are undefined are left out. */
export interface FirstManifest {
  readonly description: string;
  readonly output: string | undefined;
  readonly classes: readonly string[] | undefined;
  /** A valid row, as `JSON.stringify` takes it. */
  readonly example: { readonly features: unknown } | undefined;
}

/** A number that JSON.stringify writes with the digits of its source: an int64 may have more than a number. */
const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

/**
 * Plans the `model.json` of a model that has none.
 * @param folder of the model
 * @param force replaces these fields in one that exists; its other fields stay
 * @returns undefined if there is one already
 */
export function planManifest(folder: string, manifest: FirstManifest, force: boolean): PlannedFile | undefined {
  const path = join(folder, MANIFEST_FILE);
  const exists = existsSync(path);
  if (exists && !force) return undefined;
  const before = exists ? readObject(readFileSync(path, 'utf8')) : {};
  // JSON has no undefined: a field without a value must not replace one that has.
  const given = Object.entries(manifest).filter(([, value]) => value !== undefined);
  const after = { ...before, ...Object.fromEntries(given) };
  return { path, text: `${JSON.stringify(after, undefined, 2)}\n`, changes: differences(before, after) };
}

type Fields = Readonly<Record<string, unknown>>;

/** The fields of a JSON object; none of a text that is no such object. */
function readObject(text: string): Fields {
  try {
    const keepDigits = (_: string, value: unknown, { source }: { source?: string } = {}): unknown =>
      typeof value === 'number' && source !== undefined ? raw(source) : value;
    const read: unknown = JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Fields) : {};
  } catch {
    return {};
  }
}

function differences(before: Fields, after: Fields): Change[] {
  return Object.keys(after).flatMap((place) => {
    const [from, to] = [before[place], after[place]].map((value) => JSON.stringify(value) as string | undefined);
    return from === to ? [] : [{ place, from, to: to! }];
  });
}
