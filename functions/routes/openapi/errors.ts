import { STATUS } from '../../http/status.ts';
import { type Json, record, ref } from './json-schema.ts';

const RETRY_AFTER = {
  'Retry-After': { description: 'Seconds after which a retry may succeed.', schema: { type: 'integer', minimum: 0 } },
};

const WITH_RETRY: ReadonlySet<number> = new Set([429, 503]);

/** The schemas of an error response and of its code. */
export const ERROR_SCHEMAS: Json = {
  ErrorCode: { enum: Object.keys(STATUS), description: 'The kind of error, for programs.' },
  Error: record(
    {
      error: { type: 'string', description: 'What went wrong and what to do, for people.' },
      code: ref('ErrorCode'),
      path: { type: 'string', description: 'Where in the input, as in JavaScript: `features[2]`.' },
      request_id: { type: 'string', description: 'The id of the request, which the log has too.' },
    },
    ['path'],
  ),
};

/** A response for each status of an error, by its name among the components. */
export function errorResponses(): Json {
  const codes = Map.groupBy(Object.entries(STATUS), ([, status]) => status);
  return Object.fromEntries(
    Array.from(codes, ([status, entries]) => [
      nameOf(status),
      {
        description: entries.map(([code]) => code).join(' or '),
        content: { 'application/json': { schema: ref('Error') } },
        ...(WITH_RETRY.has(status) && { headers: RETRY_AFTER }),
      },
    ]),
  );
}

/** References to the error responses of an operation, by status. */
export function failing(...statuses: number[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [String(status), { $ref: `#/components/responses/${nameOf(status)}` }]),
  );
}

/** The error responses of a dialect that has its own form of them, by status. @param schema its name among the components */
export function failingAs(schema: string, ...statuses: number[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      {
        description: 'It failed.',
        content: { 'application/json': { schema: ref(schema) } },
        ...(WITH_RETRY.has(status) && { headers: RETRY_AFTER }),
      },
    ]),
  );
}

const nameOf = (status: number): string => `Error${status}`;
