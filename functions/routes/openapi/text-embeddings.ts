import { bodyOf, type Describe, json, type Operations, ok, operation } from './document-context.ts';
import { failingAs } from './errors.ts';
import { type Json, record, ref } from './json-schema.ts';

const TAG = 'Text Embeddings Inference';
const text = { type: 'string' };
const texts = { type: 'array', items: text, minItems: 1 };
const flag = { type: ['boolean', 'null'] };
const index = { type: 'integer', minimum: 0 };
const number = { type: 'number' };
const ids = { type: 'array', items: index, minItems: 1 };

/** A text, texts, or the token ids of them. */
export const TEXT_INPUT: Json = { anyOf: [text, texts, ids, { type: 'array', items: ids, minItems: 1 }] };

const OPTIONS: Json = {
  truncate: { ...flag, description: 'Default: true. Without, a text that is too long is refused.' },
  truncation_direction: { enum: ['Left', 'Right', 'left', 'right', null] },
  prompt_name: { type: ['string', 'null'], description: 'A prompt of the model, which is put before each text.' },
};

/** The schemas of text-embeddings-inference. */
export const TEXT_EMBEDDINGS_SCHEMAS: Json = {
  EmbedRequest: {
    type: 'object',
    properties: {
      inputs: TEXT_INPUT,
      ...OPTIONS,
      normalize: { ...flag, description: 'Default: true.' },
      dimensions: { type: ['integer', 'null'], minimum: 1 },
    },
    required: ['inputs'],
  },
  SimilarityRequest: {
    type: 'object',
    properties: {
      inputs: record({ source_sentence: text, sentences: texts }),
      parameters: { type: ['object', 'null'], properties: OPTIONS },
    },
    required: ['inputs'],
  },
  RerankRequest: {
    type: 'object',
    properties: { query: text, texts, ...OPTIONS, raw_scores: flag, return_text: flag },
    required: ['query', 'texts'],
  },
  RerankResponse: {
    type: 'array',
    description: 'The best first.',
    items: record({ index, text, score: number }, ['text']),
  },
  TokenizeRequest: {
    type: 'object',
    properties: { inputs: { anyOf: [text, texts] }, add_special_tokens: flag },
    required: ['inputs'],
  },
  TokenizeResponse: {
    type: 'array',
    items: {
      type: 'array',
      items: record({
        id: index,
        text,
        special: { type: 'boolean' },
        start: { type: ['integer', 'null'], description: 'In characters: Unicode code points.' },
        stop: { type: ['integer', 'null'] },
      }),
    },
  },
  TextModelInfo: {
    type: 'object',
    properties: {
      model_id: text,
      model_type: { type: 'object' },
      max_input_length: index,
      max_client_batch_size: index,
    },
    required: ['model_id', 'model_type', 'max_input_length', 'max_client_batch_size'],
  },
  TextEmbeddingsError: record(
    {
      error: { ...text, description: 'What went wrong and what to do, for people.' },
      error_type: { enum: ['validation', 'backend', 'overloaded', 'unhealthy'] },
      code: ref('ErrorCode'),
      path: text,
      request_id: text,
    },
    ['path'],
  ),
};

const ADDRESSES = [
  { path: '', id: '', statuses: [] },
  { path: '/models/{name}', id: 'Named', statuses: [404] },
  { path: '/models/{name}/versions/{version}', id: 'Version', statuses: [404] },
] as const;

interface Posted {
  readonly id: string;
  readonly summary: string;
  readonly request: string;
  readonly response: Json;
  /** The tasks that the model may have. */
  readonly tasks: readonly string[];
  readonly example: Json;
}

const POSTED: Readonly<Record<string, Posted>> = {
  '/embed': {
    id: 'embed',
    summary: 'Embeddings of texts.',
    request: 'EmbedRequest',
    response: { type: 'array', items: { type: 'array', items: number } },
    tasks: ['embedding'],
    example: { inputs: ['A sunny day.', 'Rain.'] },
  },
  '/similarity': {
    id: 'similarity',
    summary: 'The similarity of one sentence to others.',
    request: 'SimilarityRequest',
    response: { type: 'array', items: number },
    tasks: ['embedding'],
    example: { inputs: { source_sentence: 'A sunny day.', sentences: ['The sun shines.', 'Rain.'] } },
  },
  '/rerank': {
    id: 'rerank',
    summary: 'Texts in the order in which they match a query.',
    request: 'RerankRequest',
    response: ref('RerankResponse'),
    tasks: ['reranking'],
    example: { query: 'Will it rain?', texts: ['A sunny day.', 'Rain.'] },
  },
  '/tokenize': {
    id: 'tokenize',
    summary: 'The tokens of texts.',
    request: 'TokenizeRequest',
    response: ref('TokenizeResponse'),
    tasks: ['embedding', 'classification', 'reranking', 'token-classification'],
    example: { inputs: 'A sunny day.' },
  },
};
const NOT_SUPPORTED = { '/embed_all': 'embedAll', '/embed_sparse': 'embedSparse' } as const;

/** The operations of text-embeddings-inference. `/predict` with `inputs` is described with the native routes. */
export const TEXT_EMBEDDINGS: Operations = Object.fromEntries(ADDRESSES.flatMap(operationsAt));

function operationsAt({ path, id, statuses }: (typeof ADDRESSES)[number]): [string, Describe][] {
  const posted = Object.entries(POSTED).map(([suffix, one]): [string, Describe] => [
    `POST ${path}${suffix}`,
    () => ({
      ...operation(`${one.id}${id}`, TAG, one.summary, {
        ...ok('In the order of the request, unless it says another.', json(one.response)),
        ...failingAs('TextEmbeddingsError', ...statuses, 401, 403, 408, 413, 415, 422, 424, 429, 500, 503, 504),
      }),
      'x-task': one.tasks,
      requestBody: bodyOf(ref(one.request), { texts: { value: one.example } }),
    }),
  ]);
  const refused = Object.entries(NOT_SUPPORTED).map(([suffix, name]): [string, Describe] => [
    `POST ${path}${suffix}`,
    () => ({
      ...operation(
        `${name}${id}`,
        TAG,
        'Not supported: embeddings are pooled.',
        failingAs('TextEmbeddingsError', ...statuses, 401, 403, 501, 503),
      ),
      requestBody: bodyOf({ type: 'object' }, { none: { value: {} } }),
    }),
  ]);
  const info: Describe = () => ({
    ...operation(`textModelInfo${id}`, TAG, 'A model of texts, and the limits of requests.', {
      ...ok('The model.', json(ref('TextModelInfo'))),
      ...failingAs('TextEmbeddingsError', ...statuses, 401, 403, 424, 500, 503, 504),
    }),
    'x-task': ['embedding', 'classification', 'reranking', 'token-classification'],
  });
  return [...posted, ...refused, [`GET ${path}/info`, info]];
}
