import { bodyOf, json, type Operations, ok, operation } from './document-context.ts';
import { failingAs } from './errors.ts';
import { type Json, record, ref } from './json-schema.ts';
import { TEXT_INPUT } from './text-embeddings.ts';

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };

/** The members of a model in OpenAI's API. */
export const MODEL_MEMBERS: Json = {
  id: text,
  object: { const: 'model' },
  created: { ...count, description: 'When the server started: Unix time in seconds.' },
  owned_by: text,
};

/** The schemas of OpenAI's API. */
export const OPENAI_SCHEMAS: Json = {
  EmbeddingsRequest: {
    type: 'object',
    properties: {
      input: TEXT_INPUT,
      model: { ...text, description: 'Default: the model behind /predict.' },
      encoding_format: { enum: ['float', 'base64', null], description: 'base64: little-endian float32.' },
      dimensions: { type: ['integer', 'null'], minimum: 1, description: 'The first values, normalized again.' },
      user: { ...text, description: 'Ignored.' },
    },
    required: ['input'],
  },
  EmbeddingsResponse: record({
    object: { const: 'list' },
    data: {
      type: 'array',
      items: record({
        object: { const: 'embedding' },
        index: count,
        embedding: { anyOf: [{ type: 'array', items: { type: 'number' } }, text] },
      }),
    },
    model: text,
    usage: record({ prompt_tokens: count, total_tokens: count }),
  }),
  OpenAiError: record({
    error: record({
      message: text,
      type: { enum: ['invalid_request_error', 'rate_limit_error', 'server_error'] },
      param: { type: ['string', 'null'], description: 'Where in the body.' },
      code: { type: ['string', 'null'] },
    }),
  }),
};

/** The operation of OpenAI's API. Its list of models is that of TensorFlow Serving. */
export const OPENAI: Operations = {
  'POST /v1/embeddings': ({ name }) => ({
    ...operation('openaiEmbeddings', 'OpenAI', 'Embeddings of texts or token ids.', {
      ...ok('An embedding for each, in order.', json(ref('EmbeddingsResponse'))),
      ...failingAs('OpenAiError', 400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504),
    }),
    'x-task': ['embedding'],
    requestBody: bodyOf(ref('EmbeddingsRequest'), {
      texts: { value: { input: ['A sunny day.', 'Rain.'], ...(name !== undefined && { model: name }) } },
    }),
  }),
};
