import { type DocumentContext, json, type Operations, ok, operation } from './document-context.ts';
import { failing } from './errors.ts';
import { type Json, ref } from './json-schema.ts';

/** Of the three addresses of a model: what an operation's id and summary say of it, and whose schemas it has. */
const ADDRESSES = [
  { path: '', id: '', of: 'the model behind `/predict`', any: '' },
  { path: '/models/{name}', id: 'Named', of: 'a model of the repository: its highest version', any: 'Any' },
  { path: '/models/{name}/versions/{version}', id: 'Version', of: 'one version of a model', any: 'Any' },
] as const;

type Address = (typeof ADDRESSES)[number];

/** Of the server's own routes. */
export const NATIVE: Operations = {
  ...Object.assign({}, ...ADDRESSES.map(predicting)),
  'GET /models': () =>
    operation('listModels', 'Models', 'The models and their versions.', {
      ...ok('All of them.', json(ref('ModelList'))),
      ...failing(500, 503, 504),
    }),
  ...Object.assign({}, ...ADDRESSES.slice(1).map(status)),
  'GET /health': () =>
    operation('health', 'Probes', 'Whether the process serves, and what the model is doing.', {
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
      operation(`status${id}`, 'Models', `What it is doing, of ${of}.`, {
        ...ok('Its state.', json(ref('ModelStatus'))),
        ...failing(400, 404, 500, 503, 504),
      }),
  };
}

function predict({ id, of, any }: Address, { examples }: DocumentContext): Json {
  const row = examples && { row: { value: { features: examples.features } } };
  return {
    ...operation(`predict${id}`, 'Predict', `One row in, its prediction out, of ${of}.`, {
      ...ok('The prediction.', json(ref(`${any}Prediction`))),
      ...failing(400, ...notFound(any), 408, 413, 415, 429, 500, 503, 504),
    }),
    requestBody: { required: true, content: json(ref(`${any}PredictBody`), row) },
  };
}

function batchPredict({ id, of, any }: Address, { examples, batchQuery }: DocumentContext): Json {
  const answer = { anyOf: [ref(`${any}BatchPrediction`), ref('BatchFailure'), ref('BatchEnd')] };
  return {
    ...operation(`batchPredict${id}`, 'Predict', `Many rows in, their predictions out in the same order, of ${of}.`, {
      ...ok('A line, or an element, for each row.', {
        'application/x-ndjson': {
          schema: { type: 'string', description: 'A JSON text a line: one for each row, then the last.' },
          'x-item-schema': answer,
        },
        ...json({ type: 'array', items: answer }),
      }),
      ...failing(400, ...notFound(any), 408, 413, 415, 429, 500, 503),
    }),
    description:
      'NDJSON is read as it arrives and answered as it is read: read while you send. A row that fails does so alone. ' +
      'Read the last line: `done` says whether all rows were answered. With `Accept: application/json` the answer is one array.',
    parameters: Object.entries(batchQuery).map(([name, schema]) => ({ name, in: 'query', schema })),
    requestBody: { required: true, content: batchBody(any, examples?.features) },
  };
}

function batchBody(any: string, features: unknown): Json {
  const line = `${JSON.stringify({ features })}\n`;
  const ndjson = {
    schema: { type: 'string', description: 'A body of `/predict` a line.' },
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

/** The model behind `/predict` is asked for by no name. */
const notFound = (any: string): number[] => (any === '' ? [] : [404]);
