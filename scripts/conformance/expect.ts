import { isDeepStrictEqual } from 'node:util';
import { Wrong } from './check.ts';
import type { Answer } from './http.ts';
import { show } from './infer-call.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** @throws Wrong */
export function expect(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Wrong(message);
}

export function expectEqual(got: unknown, expected: unknown, what: string): void {
  expect(isDeepStrictEqual(got, expected), `${what}: expected ${shown(expected)}, got ${shown(got)}`);
}

/** A JSON object as the media type application/json, with this status. */
export function expectJson(answer: Answer, status = 200): JsonObject {
  expect(answer.status === status, `expected ${status}, got ${show(answer)}`);
  const type = answer.headers['content-type'] ?? '';
  expect(/^application\/json\s*(;|$)/i.test(type), `expected application/json, got ${show(answer)}`);
  return parseObject(answer.text);
}

/**
 * `{"error": string}` with one of these statuses.
 * @param named what the text must have in it, as a hint to the reader
 */
export function expectError(answer: Answer, status: number | readonly number[], named: readonly string[] = []): void {
  const statuses = typeof status === 'number' ? [status] : status;
  expect(statuses.includes(answer.status), `expected ${statuses.join(' or ')}, got ${show(answer)}`);
  const { error } = expectJson(answer, answer.status);
  expect(typeof error === 'string' && error !== '', `expected {"error": "…"}, got ${show(answer)}`);
  for (const part of named) expect(error.includes(part), `expected the error to have ${part} in it, got: ${error}`);
}

export function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Wrong(`expected JSON, got ${text.slice(0, 300)}`);
  }
  expect(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    `expected an object, got ${text.slice(0, 300)}`,
  );
  return value as JsonObject;
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === 'bigint') return `${inner}n`;
    return ArrayBuffer.isView(inner) ? Array.from(inner as Uint8Array, String) : inner;
  })?.slice(0, 300) ?? 'nothing';
