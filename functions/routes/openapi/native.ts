import { type DocumentContext, json, type Operations, ok, operation } from './document-context.ts';
import { failing } from './errors.ts';
import { type Json, ref } from './json-schema.ts';

/** The three addresses of a model: path, suffix of the operations' ids, text in their summaries, and prefix of the schemas' names. */
const ADDRESSES = [
  { path: '', id: '', of: 'the model behind /predict', any: '' },
  { path: '/models/{name}', id: 'Named', of: 'a model of the repository: its highest version', any: 'Any' },
  { path: '/models/{name}/versions/{version}', id: 'Version', of: 'one version of a model', any: 'Any' },
] as const;

type Address = (typeof ADDRESSES)[number];

/** The operations of the server's own routes. */
export const NATIVE: Operations = {
  ...Object.assign({}, ...ADDRESSES.map(predicting)),
  'GET /models': () =>
    operation('listModels', 'Models', 'The models and their versions.', {
      ...ok('All of them.', json(ref('ModelList'))),
      ...failing(500, 503, 504),
    }),
  ...Object.assign({}, ...ADDRESSES.slice(1).map(status)),
  ...Object.assign({}, ...ADDRESSES.slice(1).map(exampleRows)),
  'GET /health': () =>
    operation('health', 'Probes', 'Whether the process serves, and the state of the model.', {
      ...ok('It serves.', json(ref('Health'))),
      ...failing(500),
    }),
  'GET /ready': () =>
    operation('ready', 'Probes', 'Whether the model is loaded, checked and warm.', {
      ...ok('It is.', json(ref('Ready'))),
      ...failing(500, 503),
    }),
  'GET /metrics': () =>
    operation('metrics', 'Probes', 'Figures for Prometheus.', {
      ...ok('Prometheus text.', { 'text/plain': { schema: { type: 'string' } } }),
      ...failing(500),
    }),
  'GET /openapi.json': () =>
    operation('openApi', 'Description', 'This document.', {
      ...ok('An OpenAPI 3.1 document.', json({ type: 'object' })),
      ...failing(500, 503, 504),
    }),
};

function predicting(address: Address): Operations {
  return {
    [`POST ${address.path}/predict`]: (context) => predict(address, context),
    [`POST ${address.path}/batch_predict`]: (context) => batchPredict(address, context),
  };
}

function status({ path, id, of }: Address): Operations {
  return {
    [`GET ${path}`]: () =>
      operation(`status${id}`, 'Models', `The state of ${of}.`, {
        ...ok('Its state.', json(ref('ModelStatus'))),
        ...failing(400, 404, 500, 503, 504),
      }),
  };
}

function exampleRows({ path, id, of }: Address): Operations {
  return {
    [`GET ${path}/examples`]: () =>
      operation(`examples${id}`, 'Models', `The description and some golden rows of ${of}.`, {
        ...ok('At most 20 rows of 64 kB in all.', json(ref('Examples'))),
        ...failing(400, 404, 500, 503, 504),
      }),
  };
}

function predict({ id, of, any }: Address, { examples, bodyTypes = [] }: DocumentContext): Json {
  const row = examples && { row: { value: { features: examples.features } } };
  return {
    ...operation(`predict${id}`, 'Predict', `Predicts one row with ${of}.`, {
      ...ok('The prediction.', json(ref(`${any}Prediction`))),
      ...failing(400, ...notFound(any), 408, 413, 415, 429, 500, 503, 504),
    }),
    requestBody: {
      required: true,
      content: { ...json(ref(`${any}PredictBody`), row), ...(any === '' && fileBodies(bodyTypes)) },
    },
  };
}

/** A picture as the body, or a form with one. */
function fileBodies(types: readonly string[]): Json {
  const form = {
    type: 'object',
    properties: { image: { type: 'string', contentMediaType: 'application/octet-stream' } },
  };
  return Object.fromEntries(types.map((type) => [type, type.startsWith('multipart/') ? { schema: form } : {}]));
}

function batchPredict({ id, of, any }: Address, { examples, batchQuery }: DocumentContext): Json {
  const result = { anyOf: [ref(`${any}BatchPrediction`), ref('BatchFailure'), ref('BatchEnd')] };
  return {
    ...operation(`batchPredict${id}`, 'Predict', `Predicts many rows, in order, with ${of}.`, {
      ...ok('A line, or an element, for each row.', {
        'application/x-ndjson': {
          schema: { type: 'string', description: 'A JSON text on each line: one for each row, then the summary.' },
          'x-item-schema': result,
        },
        ...json({ type: 'array', items: result }),
      }),
      ...failing(400, ...notFound(any), 408, 413, 415, 429, 500, 503),
    }),
    description:
      'NDJSON is read as it arrives, and results are sent as they are ready: read while you send. A row that fails does not fail others. ' +
      'Read the last line: `done` says whether all rows have a result. With `Accept: application/json` the response is one array.',
    parameters: Object.entries(batchQuery).map(([name, schema]) => ({ name, in: 'query', schema })),
    requestBody: { required: true, content: batchBody(any, examples?.features) },
  };
}

function batchBody(any: string, features: unknown): Json {
  const line = `${JSON.stringify({ features })}\n`;
  const ndjson = {
    schema: { type: 'string', description: 'A body of `/predict` on each line.' },
    'x-item-schema': ref(`${any}PredictBody`),
    ...(features !== undefined && { examples: { rows: { value: line + line } } }),
  };
  const examples = {
    instances: { value: { instances: [features, features] } },
    bodies: { value: [{ features }, { features }] },
  };
  return {
    'application/x-ndjson': ndjson,
    'application/jsonl': ndjson,
    ...json(ref(`${any}BatchBody`), features === undefined ? undefined : examples),
  };
}

/** A request for the model behind `/predict` names no model: it cannot get 404. */
const notFound = (any: string): number[] => (any === '' ? [] : [404]);
