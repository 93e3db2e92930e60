/** A number's text as it stands in the JSON: newer browsers tell it. */
interface Context {
  readonly source?: string;
}

const WHOLE = /^-?\d+$/;

/** Reads JSON; whole numbers above 2^53 keep their digits as bigints where the browser lets them. */
export function parseJson(text: string): unknown {
  const revive = (_: string, value: unknown, context?: Context): unknown => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && WHOLE.test(context.source) ? BigInt(context.source) : value;
  };
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

/** Writes JSON, with the digits of bigints. */
export function toJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}:${toJson(inner)}`)
    .join(',')}}`;
}
