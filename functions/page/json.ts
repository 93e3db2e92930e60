/** What newer browsers pass to a reviver: a number's text in the JSON. */
interface Context {
  readonly source?: string;
}

const INTEGER = /^-?\d+$/;

/** Parses JSON. Integers above 2^53 become bigints with all digits, if the browser supports it. */
export function parseJson(text: string): unknown {
  const revive = (_: string, value: unknown, context?: Context): unknown => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && INTEGER.test(context.source) ? BigInt(context.source) : value;
  };
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

/** Writes JSON, with all digits of bigints. */
export function toJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}:${toJson(inner)}`)
    .join(',')}}`;
}
