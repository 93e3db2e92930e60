import type { Route } from '../../http/router.ts';
import type { Json } from './json-schema.ts';

/** What the operations show of the model behind `/predict`; without a loaded model they have no examples. */
export interface DocumentContext {
  readonly name?: string;
  readonly version?: string;
  readonly examples?: Examples;
  /** Media types of a body of `/predict` beside JSON. */
  readonly bodyTypes?: readonly string[];
  /** The query of `/batch_predict`: a schema for each parameter. */
  readonly batchQuery: Json;
}

/** One valid row of the model, in the form of each dialect. */
export interface Examples {
  /** The `features` of a body of `/predict`. */
  readonly features: unknown;
  /** The tensors of an infer request. */
  readonly tensors: readonly Json[];
  /** Entire tensors by input. */
  readonly columns: Json;
}

/** Writes the operation of a route. */
export type Describe = (context: DocumentContext) => Json;

/** Operations by the method and path of their routes: `GET /models`. */
export type Operations = Readonly<Record<string, Describe>>;

/** The key of a route among {@link Operations}. */
export const keyOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`;

/** The content of a JSON body. @param examples by name. */
export const json = (schema: Json, examples?: Json): Json => ({
  'application/json': { schema, ...(examples !== undefined && { examples }) },
});

/** The response with status 200. */
export const ok = (description: string, content: Json): Json => ({ 200: { description, content } });

/** A JSON body with its examples, by name. */
export const bodyOf = (schema: Json, examples: Json | undefined): Json => ({
  required: true,
  content: json(schema, examples),
});

/**
 * An operation without its parameters and request body.
 * @param tag one of the document's.
 * @param summary a plain text, by OpenAPI: viewers show backticks as they are.
 */
export const operation = (operationId: string, tag: string, summary: string, responses: Json): Json => ({
  operationId,
  tags: [tag],
  summary,
  responses,
});
