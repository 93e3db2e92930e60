import type { Route } from '../../http/router.ts';
import type { Json } from './json-schema.ts';

/** What the operations are told of the model behind `/predict`. Without one they have no examples. */
export interface DocumentContext {
  readonly name?: string;
  readonly version?: string;
  readonly examples?: Examples;
  /** The query of `/batch_predict`: a schema for each parameter. */
  readonly batchQuery: Json;
}

/** One row that the model takes, as each dialect has it. */
export interface Examples {
  /** The `features` of a body of `/predict`. */
  readonly features: unknown;
  /** The tensors of an infer request. */
  readonly tensors: readonly Json[];
  /** Whole inputs by name. */
  readonly columns: Json;
}

/** What a route does, as an operation of the document. */
export type Describe = (context: DocumentContext) => Json;

/** By a route's method and path: `GET /models`. */
export type Operations = Readonly<Record<string, Describe>>;

export const keyOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`;

export const json = (schema: Json, examples?: Json): Json => ({
  'application/json': { schema, ...(examples !== undefined && { examples }) },
});

export const ok = (description: string, content: Json): Json => ({ 200: { description, content } });

export const operation = (operationId: string, tag: string, summary: string, responses: Json): Json => ({
  operationId,
  tags: [tag],
  summary,
  responses,
});
