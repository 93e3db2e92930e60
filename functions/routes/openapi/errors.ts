import { STATUS } from '../../http/status.ts';
import { type Json, record, ref } from './json-schema.ts';

const RETRY_AFTER = {
  'Retry-After': { description: 'Seconds after which a retry makes sense.', schema: { type: 'integer', minimum: 0 } },
};

const WITH_RETRY: ReadonlySet<number> = new Set([429, 503]);

export const ERROR_SCHEMAS: Json = {
  ErrorCode: { enum: Object.keys(STATUS), description: 'What went wrong, for programs.' },
  Error: record(
    {
      error: { type: 'string', description: 'What went wrong and what to do, for people.' },
      code: ref('ErrorCode'),
      path: { type: 'string', description: 'Where in the input, as in JavaScript: `features[2]`.' },
      request_id: { type: 'string', description: 'The log has it, too.' },
    },
    ['path'],
  ),
};

/** A response for each status that an error has, by its name among the components. */
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

/** The error responses of an operation, by status. */
export function failing(...statuses: number[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [String(status), { $ref: `#/components/responses/${nameOf(status)}` }]),
  );
}

const nameOf = (status: number): string => `Error${status}`;
