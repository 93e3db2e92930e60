/** A number as it was written: no digit is lost. */
export class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | Digits | Json[] | { [key: string]: Json };

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/**
 * Parses JSON with JavaScript's parser, independently of the server's. A byte order mark is skipped; NaN and the infinities may lack
 * quotes, and become texts.
 * @throws SyntaxError
 */
export function parseLoosely(text: string): Json {
  const quoted = text
    .replace(/^\ufeff/, '')
    .replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/gs, (token) => (token.startsWith('"') ? token : `"${token}"`));
  return parse(quoted, (_, value, { source }) => (typeof value === 'number' ? new Digits(source!) : value)) as Json;
}

export const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits);
