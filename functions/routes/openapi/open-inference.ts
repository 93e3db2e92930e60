import { json, type Operations, ok, operation } from './document-context.ts';
import { failing } from './errors.ts';
import { type Json, record, ref } from './json-schema.ts';

const TAG = 'Open Inference Protocol';
const MODELS = [
  { path: '/v2/models/{name}', id: '' },
  { path: '/v2/models/{name}/versions/{version}', id: 'Version' },
] as const;

const text = { type: 'string' };
const shape = { type: 'array', items: { type: 'integer', minimum: -1 } };
const parameters = { type: 'object' };
const datatype = {
  enum: 'BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 BYTES'.split(' '),
};
const configured = {
  type: 'object',
  properties: { name: text, data_type: text, dims: { type: 'array', items: { type: 'integer', minimum: -1 } } },
  required: ['name', 'data_type', 'dims'],
};
const duration = record({ count: { type: 'integer' }, ns: { type: 'integer' } });

/** The schemas of the Open Inference Protocol v2 and Triton's extensions. */
export const OPEN_INFERENCE_SCHEMAS: Json = {
  InferTensor: {
    type: 'object',
    properties: {
      name: text,
      shape,
      datatype,
      parameters,
      data: { type: 'array', description: 'Row-major: flat, or nested by the shape.' },
    },
    required: ['name', 'shape', 'datatype'],
  },
  InferRequest: {
    type: 'object',
    properties: {
      id: text,
      parameters,
      inputs: { type: 'array', items: ref('InferTensor') },
      outputs: {
        type: 'array',
        description: 'The requested outputs. Default: all.',
        items: {
          type: 'object',
          properties: {
            name: text,
            parameters: {
              type: 'object',
              properties: {
                binary_data: { type: 'boolean' },
                classification: {
                  type: 'integer',
                  minimum: 0,
                  description: 'How many of the highest elements of each row are sent, as `score:index[:label]`.',
                },
              },
            },
          },
          required: ['name'],
        },
      },
    },
    required: ['inputs'],
  },
  InferResponse: record(
    { model_name: text, model_version: text, id: text, outputs: { type: 'array', items: ref('InferTensor') } },
    ['id'],
  ),
  InferTensorMetadata: record({ name: text, datatype, shape, parameters }, ['parameters']),
  InferModelMetadata: record({
    name: text,
    versions: { type: 'array', items: text },
    platform: text,
    inputs: { type: 'array', items: ref('InferTensorMetadata') },
    outputs: { type: 'array', items: ref('InferTensorMetadata') },
  }),
  ModelConfig: {
    type: 'object',
    description: "As Triton's `ModelConfig` in JSON.",
    properties: {
      name: text,
      platform: text,
      backend: text,
      max_batch_size: {
        type: 'integer',
        minimum: 0,
        description: '0: rows share no run, and dims are complete shapes.',
      },
      input: { type: 'array', items: configured },
      output: { type: 'array', items: configured },
    },
    required: ['name', 'platform', 'backend', 'max_batch_size', 'input', 'output'],
  },
  LogSettings: record({
    log_file: { const: '' },
    log_info: { type: 'boolean' },
    log_warning: { type: 'boolean' },
    log_error: { type: 'boolean' },
    log_verbose_level: { type: 'integer', minimum: 0 },
    log_format: { enum: ['default', 'ISO8601'] },
  }),
  TraceSettings: record({
    trace_level: { type: 'array', items: { enum: ['OFF', 'TIMESTAMPS'] } },
    trace_rate: text,
    trace_count: text,
    log_frequency: text,
    trace_file: { const: '' },
  }),
  InferStatistics: record({
    model_stats: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          name: text,
          version: text,
          last_inference: { type: 'integer', description: 'Milliseconds since 1970.' },
          inference_count: { type: 'integer' },
          execution_count: { type: 'integer' },
          inference_stats: { type: 'object', additionalProperties: duration },
          batch_stats: { type: 'array', items: { type: 'object' } },
        },
        required: ['name', 'version'],
      },
    },
  }),
};

const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
const named = [400, 404, 500, 503, 504] as const;
const describeServer = (id: string) => () =>
  operation(id, TAG, 'Server metadata.', {
    ...ok(
      'Its name, version and extensions.',
      json(record({ name: text, version: text, extensions: { type: 'array', items: text } })),
    ),
    ...failing(500, 503, 504),
  });

/** The operations of the Open Inference Protocol v2, with Triton's extensions. */
export const OPEN_INFERENCE: Operations = {
  'GET /v2': describeServer('inferServer'),
  'GET /v2/': describeServer('inferServerRoot'),
  'GET /v2/health/live': () =>
    operation('inferLive', TAG, 'Whether the process serves.', {
      ...ok('It does.', json(record({ live: { const: true } }))),
      ...failing(500),
    }),
  'GET /v2/health/ready': () =>
    operation('inferReady', TAG, 'Whether the model behind /predict is ready.', {
      ...ok('It is.', json(record({ ready: { const: true }, live: { const: true } }))),
      ...failing(500, 503),
    }),
  'GET /v2/models': () =>
    operation('inferModels', TAG, 'The names of the models.', {
      ...ok('All of them.', json(record({ models: { type: 'array', items: text } }))),
      ...failing(500, 503, 504),
    }),
  'GET /v2/models/stats': () =>
    operation('inferStatistics', TAG, 'Statistics of all models.', {
      ...ok('An element for each version.', json(ref('InferStatistics'))),
      ...failing(500, 503, 504),
    }),
  ...Object.assign({}, ...MODELS.map(ofModel)),
  'POST /v2/repository/index': () => ({
    ...operation('repositoryIndex', TAG, 'The models of the repository and their states.', {
      ...ok('An element for each version.', json({ type: 'array', items: { type: 'object' } })),
      ...failing(400, 408, 413, 500, 503, 504),
    }),
    requestBody: {
      content: json({ type: 'object', properties: { ready: { type: 'boolean' } } }, { all: { value: {} } }),
    },
  }),
  'POST /v2/repository/models/{name}/load': () => administer('repositoryLoad', 'Loads a model, or its latest version.'),
  'POST /v2/repository/models/{name}/unload': () => administer('repositoryUnload', 'Unloads a model.'),
  ...settings('/v2/logging', 'logSettings', 'LogSettings', 'which lines are logged'),
  ...settings('/v2/trace/setting', 'traceSettings', 'TraceSettings', 'how requests are traced'),
  ...settings('/v2/models/{name}/trace/setting', 'traceSettingsModel', 'TraceSettings', 'how its requests are traced'),
  ...sharedMemory('/v2/systemsharedmemory', 'systemSharedMemory'),
  ...sharedMemory('/v2/cudasharedmemory', 'cudaSharedMemory'),
};

function administer(id: string, summary: string, schema: Json = { type: 'object' }): Json {
  return {
    ...operation(id, TAG, summary, {
      ...ok('Done.', json(schema)),
      ...failing(400, 401, 403, 404, 408, 413, 500, 501, 503, 504),
    }),
    security: [{ adminToken: [] }],
    requestBody: { content: json({ type: 'object' }, { plain: { value: {} } }) },
  };
}

function settings(path: string, id: string, schema: string, what: string): Operations {
  return {
    [`GET ${path}`]: () =>
      operation(id, TAG, `Shows ${what}.`, { ...ok('The settings.', json(ref(schema))), ...failing(...named) }),
    [`POST ${path}`]: () => administer(`${id}Change`, `Changes ${what}, until the process ends.`, ref(schema)),
  };
}

function sharedMemory(path: string, id: string): Operations {
  const none = ok('None.', json({ type: 'array', maxItems: 0 }));
  const failures = failing(400, 500, 503, 504);
  const operations: Operations = {
    [`GET ${path}/status`]: () =>
      operation(`${id}Status`, TAG, 'The regions that are registered.', { ...none, ...failures }),
    [`GET ${path}/region/{region}/status`]: () =>
      operation(`${id}RegionStatus`, TAG, 'One region.', { ...none, ...failures }),
    [`POST ${path}/unregister`]: () =>
      operation(`${id}Unregister`, TAG, 'Unregisters all regions, of which there are none.', {
        ...ok('No region is registered.', json({ type: 'object' })),
        ...failures,
      }),
    [`POST ${path}/region/{region}/unregister`]: () =>
      operation(`${id}RegionUnregister`, TAG, 'Unregisters a region.', {
        ...ok('It is not registered.', json({ type: 'object' })),
        ...failures,
      }),
    [`POST ${path}/region/{region}/register`]: () =>
      operation(`${id}Register`, TAG, 'Not supported: the server shares no memory.', failing(400, 501, 503)),
  };
  return operations;
}

function ofModel({ path, id }: (typeof MODELS)[number]): Operations {
  return {
    [`GET ${path}`]: () =>
      operation(`inferModel${id}`, TAG, "A model's inputs and outputs.", {
        ...ok('Its metadata.', json(ref('InferModelMetadata'))),
        ...failing(...named),
      }),
    [`GET ${path}/ready`]: () =>
      operation(`inferModelReady${id}`, TAG, 'Whether a model is ready.', {
        ...ok('It is.', json(record({ name: text, ready: { const: true } }))),
        ...failing(400, 404, 500, 503),
      }),
    [`GET ${path}/config`]: () =>
      operation(`inferModelConfig${id}`, TAG, 'The configuration of a model.', {
        ...ok('Its configuration.', json(ref('ModelConfig'))),
        ...failing(...named),
      }),
    [`GET ${path}/stats`]: () =>
      operation(`inferModelStatistics${id}`, TAG, 'Statistics of a model.', {
        ...ok('An element for each version.', json(ref('InferStatistics'))),
        ...failing(...named),
      }),
    [`POST ${path}/infer`]: ({ examples }) => ({
      ...operation(`infer${id}`, TAG, 'Predicts tensors: a batch of rows in each.', {
        ...ok('The outputs.', { ...json(ref('InferResponse')), ...bytes }),
        ...failing(400, 404, 408, 413, 415, 429, 500, 501, 503, 504),
      }),
      requestBody: {
        required: true,
        description:
          'The content type is ignored. Binary tensors follow the JSON, whose length is in `Inference-Header-Content-Length`.',
        content: {
          ...json(ref('InferRequest'), examples && { row: { value: { inputs: examples.tensors } } }),
          ...bytes,
        },
      },
    }),
  };
}
