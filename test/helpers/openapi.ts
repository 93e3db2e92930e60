import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Json } from './calls.ts';

/** One for all documents: it compiles the schema of OpenAPI once. */
const validator = new Validator();

/** What is wrong with a document by the schema of OpenAPI itself; undefined where nothing is. */
export async function faultOf(document: object): Promise<string | undefined> {
  const { valid, errors } = await validator.validate(structuredClone(document) as Record<string, unknown>);
  return valid ? undefined : JSON.stringify(errors);
}

/** One request that a document gives as an example. */
export interface ExampleRequest {
  readonly title: string;
  readonly method: string;
  /** With the parameters filled in. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  /** The operation's place in the document. */
  readonly place: readonly string[];
  readonly responses: Json;
  /** Something else than a 200 may be right: there is none, it takes a token, or a model for another task. */
  readonly mayFail: boolean;
}

/**
 * A request for each example of a body, in each media type that the answer may have; one for an operation without a body.
 * @throws Error where a body has no example.
 */
export function exampleRequests(document: Json): ExampleRequest[] {
  const task = document['x-model']?.preparation?.task?.value;
  return Object.entries(document.paths as Json).flatMap(([path, item]) =>
    Object.entries(item as Json).flatMap(([method, operation]) => requestsOf(path, method, operation, task)),
  );
}

/** @param task of the model of the examples. */
function requestsOf(path: string, method: string, operation: Json, task: string | undefined): ExampleRequest[] {
  const filled = (operation.parameters ?? []).reduce(
    (url: string, { name, in: place, example }: Json) =>
      place === 'path' ? url.replace(`{${name}}`, encodeURIComponent(example ?? 'none')) : url,
    path,
  );
  const accepted = Object.keys(operation.responses['200']?.content ?? { 'application/json': {} });
  const bodies: [type: string | undefined, name: string, body: string | undefined][] = [];
  for (const [type, media] of Object.entries<Json>(operation.requestBody?.content ?? {})) {
    // Bytes are in the tests of their protocol.
    if (type === 'application/octet-stream') continue;
    if (media.examples === undefined) throw new Error(`${method} ${path} has no example of ${type}`);
    for (const [name, { value }] of Object.entries<Json>(media.examples))
      bodies.push([type, name, typeof value === 'string' ? value : JSON.stringify(value)]);
  }
  if (bodies.length === 0) bodies.push([undefined, 'no body', undefined]);
  return bodies.flatMap(([type, name, body]) =>
    accepted
      .filter((accept) => accept !== 'application/octet-stream')
      .map((accept) => ({
        title: `${method} ${path}: ${name} as ${type}, for ${accept}`,
        method: method.toUpperCase(),
        path: filled,
        headers: { accept, ...(type !== undefined && { 'content-type': type }) },
        body,
        place: ['paths', path, method],
        responses: operation.responses,
        mayFail:
          operation.responses['200'] === undefined ||
          operation.security !== undefined ||
          operation['x-task']?.includes(task) === false,
      })),
  );
}

/** Finds what keeps a value from being what the schema at a place of the document says; undefined where nothing does. */
export function createChecker(document: Json): (place: readonly string[], value: unknown) => string | undefined {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'document');
  return (place, value) => {
    const pointer = place.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = ajv.getSchema(`document#/${pointer}`);
    if (validate === undefined) throw new Error(`the document has no ${place.join(' > ')}`);
    return validate(value) ? undefined : ajv.errorsText(validate.errors);
  };
}

/** Where the responses to a request of the document are, with references followed. */
export function responsePlace(document: Json, { place, responses }: ExampleRequest, status: number): string[] {
  const response = responses[String(status)];
  if (response === undefined) throw new Error(`${place.join(' ')} does not tell of ${status}`);
  if (response.$ref === undefined) return [...place, 'responses', String(status)];
  const found = response.$ref.slice(2).split('/');
  if (document.components.responses[found.at(-1)] === undefined) throw new Error(`there is no ${response.$ref}`);
  return found;
}
