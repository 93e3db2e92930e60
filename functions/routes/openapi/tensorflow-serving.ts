import { bodyOf, type Describe, json, type Operations, ok, operation } from './document-context.ts';
import { failing } from './errors.ts';
import { type Json, record, ref } from './json-schema.ts';
import { MODEL_MEMBERS } from './openai.ts';

const TAG = 'TensorFlow Serving';
const VERTEX_TAG = 'Vertex AI';
const PLACES = [
  { path: '/v1/models/{name}', id: '' },
  { path: '/v1/models/{name}/versions/{version}', id: 'Version' },
] as const;
const UNSUPPORTED = [
  ['classify', 'Classify', 'Not supported: ONNX models do not take tf.train.Example.'],
  ['regress', 'Regress', 'Not supported: ONNX models do not take tf.train.Example.'],
  ['explain', 'Explain', 'Not supported: the server has no explainers.'],
] as const;
const LABEL = '/v1/models/{name}/labels/{label}';

const text = { type: 'string' };
const rows = { type: 'array', description: 'An element for each row: a value, or an object of values by input.' };

/** The schemas of TensorFlow Serving's REST API. */
export const TENSORFLOW_SERVING_SCHEMAS: Json = {
  RowsRequest: {
    type: 'object',
    properties: { signature_name: text, instances: rows },
    required: ['instances'],
  },
  ColumnsRequest: {
    type: 'object',
    properties: { signature_name: text, inputs: { description: 'Entire tensors, by input.' } },
    required: ['inputs'],
  },
  NamedModels: record({
    models: { type: 'array', items: text },
    object: { const: 'list' },
    data: { type: 'array', items: record(MODEL_MEMBERS) },
  }),
  RowsResponse: record({ predictions: { type: 'array', description: 'One for each row, in order.' } }),
  ColumnsResponse: record({ outputs: { description: 'Entire tensors; by output if there are several.' } }),
  VersionStatus: record(
    {
      name: text,
      ready: { type: 'boolean', description: 'Whether the model is ready.' },
      model_version_status: {
        type: 'array',
        items: record({
          version: text,
          state: { enum: ['START', 'LOADING', 'AVAILABLE', 'UNLOADING', 'END'] },
          status: record({ error_code: text, error_message: text }),
        }),
      },
    },
    ['name', 'ready'],
  ),
};

/** The operations of TensorFlow Serving's REST API, and of KServe's v1 protocol at the same paths. */
export const TENSORFLOW_SERVING: Operations = Object.assign(
  {},
  {
    'GET /v1/models': () =>
      operation('tensorflowModels', TAG, 'The names of the models; as objects in the list of OpenAI.', {
        ...ok('All of them.', json(ref('NamedModels'))),
        ...failing(500, 503, 504),
      }),
  },
  ...PLACES.map(operationsAt),
  // No version has a label: each of these gets 404.
  Object.fromEntries(
    [':predict', ':classify', ':regress', ':explain', '/metadata', ''].map((verb) => [
      `${verb.startsWith(':') ? 'POST' : 'GET'} ${LABEL}${verb}`,
      () => operation(`tensorflowLabel${verb.slice(1)}`, TAG, 'Versions have no labels here.', failing(404, 503)),
    ]),
  ),
);

function operationsAt({ path, id }: (typeof PLACES)[number]): Operations {
  const operations: Record<string, Describe> = {
    [`POST ${path}:predict`]: ({ examples }) => ({
      ...operation(`tensorflowPredict${id}`, TAG, 'Predicts rows (instances), or entire tensors (inputs).', {
        ...ok('The predictions.', json({ anyOf: [ref('RowsResponse'), ref('ColumnsResponse')] })),
        ...failing(400, 404, 408, 413, 415, 429, 500, 503, 504),
      }),
      requestBody: bodyOf(
        { anyOf: [ref('RowsRequest'), ref('ColumnsRequest')] },
        examples && {
          rows: { value: { instances: [examples.features, examples.features] } },
          columns: { value: { inputs: examples.columns } },
        },
      ),
    }),
    [`GET ${path}`]: () =>
      operation(`tensorflowStatus${id}`, TAG, 'The states of the versions of a model.', {
        ...ok('Their states.', json(ref('VersionStatus'))),
        ...failing(400, 404, 500, 503, 504),
      }),
    [`GET ${path}/metadata`]: () =>
      operation(`tensorflowMetadata${id}`, TAG, "A model's signature.", {
        ...ok('The signature.', json({ type: 'object' })),
        ...failing(400, 404, 500, 503, 504),
      }),
  };
  for (const [verb, name, summary] of UNSUPPORTED) {
    operations[`POST ${path}:${verb}`] = () => ({
      ...operation(`tensorflow${name}${id}`, TAG, summary, failing(404, 501, 503)),
      requestBody: bodyOf({ type: 'object' }, { none: { value: {} } }),
    });
  }
  return operations;
}

/** Describes predictions at the path that Vertex AI sets. */
export const vertexPredict: Describe = ({ examples }) => ({
  ...operation('vertexPredict', VERTEX_TAG, 'Predicts rows.', {
    ...ok('The predictions.', json({ anyOf: [ref('RowsResponse'), ref('InferResponse'), ref('Prediction')] })),
    ...failing(400, 408, 413, 415, 429, 500, 501, 503, 504),
  }),
  requestBody: bodyOf(
    { anyOf: [ref('RowsRequest'), ref('InferRequest'), ref('PredictBody')] },
    examples && {
      rows: { value: { instances: [examples.features, examples.features] } },
      infer: { value: { inputs: examples.tensors } },
      features: { value: { features: examples.features } },
    },
  ),
});

/** Describes the health check at the path that Vertex AI sets. */
export const vertexHealth: Describe = () =>
  operation('vertexHealth', VERTEX_TAG, 'Whether the model is ready.', {
    ...ok('It is.', json({ type: 'object' })),
    ...failing(500, 503),
  });
