import { parseJson } from './json.ts';
import type { Target } from './model.ts';

/** What a link carries: the model, and the `features` of a row as JSON. */
export interface Linked extends Target {
  readonly features?: string;
}

/** Most characters of a link: some programs cut longer ones. */
const LONGEST = 8000;

/** The fragment of a link, which browsers do not send to the server. Undefined if the features are too long for it. */
export function writeLink({ name, version, features }: Linked): string | undefined {
  const parts = new URLSearchParams();
  if (name !== undefined) parts.set('model', name);
  if (version !== undefined) parts.set('version', version);
  if (features !== undefined) parts.set('features', features);
  const text = String(parts);
  return text.length > LONGEST ? undefined : text;
}

/**
 * Reads the fragment of a link; undefined if it is none, but names a part of the page. What is not as `writeLink` has it is left
 * out: a link may be of anybody.
 */
export function readLink(hash: string): Linked | undefined {
  if (hash.length > LONGEST + 1) return {};
  if (/^#[\w-]+$/.test(hash)) return undefined;
  const parts = new URLSearchParams(hash.replace(/^#/, ''));
  const given = parts.get('model') ?? '';
  // As a part of a path these are other folders.
  const name = /^\.{0,2}$/.test(given) ? undefined : given;
  const number = parts.get('version') ?? '';
  const version = name === undefined || /^\.{0,2}$/.test(number) ? undefined : number;
  const features = parts.get('features') ?? undefined;
  return {
    ...(name !== undefined && { name }),
    ...(version !== undefined && { version }),
    ...(features !== undefined && isJson(features) && { features }),
  };
}

function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}
