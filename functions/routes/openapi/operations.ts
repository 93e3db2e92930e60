import type { Route } from '../../http/router.ts';
import { type DocumentContext, keyOf, type Operations } from './document-context.ts';
import type { Json } from './json-schema.ts';
import { NATIVE } from './native.ts';
import { OPEN_INFERENCE } from './open-inference.ts';
import { OPENAI } from './openai.ts';
import { TENSORFLOW_SERVING, vertexHealth, vertexPredict } from './tensorflow-serving.ts';
import { TEXT_EMBEDDINGS } from './text-embeddings.ts';

const OPERATIONS: Operations = { ...NATIVE, ...OPEN_INFERENCE, ...TENSORFLOW_SERVING, ...TEXT_EMBEDDINGS, ...OPENAI };

type Listed = Pick<Route, 'method' | 'path'>;

/** Whether there is an operation for the route's own path: there is none for the paths that Vertex AI sets. */
export const isDescribed = (route: Listed): boolean => Object.hasOwn(OPERATIONS, keyOf(route));

/** Writes the operation of a route, with the parameters in its path. */
export function describeRoute(route: Listed, context: DocumentContext): Json {
  const describe = isDescribed(route)
    ? OPERATIONS[keyOf(route)]!
    : route.method === 'GET'
      ? vertexHealth
      : vertexPredict;
  const operation = describe(context);
  const names = Array.from(route.path.matchAll(/\{(\w+)\}/g), ([, name]) => name!);
  if (names.length === 0) return operation;
  const own = (operation.parameters as Json[] | undefined) ?? [];
  return { ...operation, parameters: [...names.map((name) => pathParameter(name, context)), ...own] };
}

function pathParameter(name: string, { name: model, version }: DocumentContext): Json {
  const example = ({ name: model, version } as Record<string, string | undefined>)[name];
  return {
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(example !== undefined && { example }),
  };
}
