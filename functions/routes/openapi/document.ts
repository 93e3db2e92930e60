import * as z from 'zod/mini';
import type { Route } from '../../http/router.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { LOAD_PHASES, MODEL_STATES } from '../../telemetry/metrics/metric-table.ts';
import { batchQuerySchema } from '../native/batch-predict.ts';
import { bodyTypesOf } from '../native/picture-body.ts';
import { envelope } from '../native/prediction.ts';
import { predictionEncoderOf } from '../native/prediction-encoder.ts';
import { describeModel } from './describe-model.ts';
import type { DocumentContext } from './document-context.ts';
import { ERROR_SCHEMAS, errorResponses, failing } from './errors.ts';
import { makeExamples } from './example.ts';
import { type Json, record, ref } from './json-schema.ts';
import { anySchemas, modelSchemas, type Typed } from './model-schemas.ts';
import { OPEN_INFERENCE_SCHEMAS } from './open-inference.ts';
import { OPENAI_SCHEMAS } from './openai.ts';
import { describeRoute } from './operations.ts';
import { TENSORFLOW_SERVING_SCHEMAS } from './tensorflow-serving.ts';
import { TEXT_EMBEDDINGS_SCHEMAS } from './text-embeddings.ts';

/** The parts of a route that the document lists. */
export type Listed = Pick<Route, 'method' | 'path' | 'admin' | 'open'>;

/** Whether a route is served to callers without a token; undefined on a server that authenticates no callers. */
export type IsOpen = ((route: Listed) => boolean) | undefined;

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const TAGS = [
  'Predict',
  'Models',
  'Probes',
  'Description',
  'Open Inference Protocol',
  'TensorFlow Serving',
  'Vertex AI',
  'Text Embeddings Inference',
  'OpenAI',
];
const DECIDED_BY = ['proof', 'trial', 'manifest', 'guard'];

/** The schemas that do not depend on the model. */
const SHARED: Json = {
  Index: { ...count, description: 'Index of the row in the request, from 0.' },
  ModelVersion: record({ name: text, version: text }),
  BatchFailure: record({
    index: ref('Index'),
    error: record({ message: text, code: ref('ErrorCode'), path: text }, ['path']),
  }),
  BatchEnd: {
    anyOf: [
      record({ done: { const: true }, ok: count, failed: count }),
      record({
        done: { const: false },
        next_index: { ...count, description: 'Send the rows from this one on again.' },
        code: { enum: ['DRAINING', 'IDLE', 'MODEL_CHANGED'] },
        message: text,
      }),
    ],
  },
  ModelState: { enum: MODEL_STATES },
  ModelStatus: record(
    {
      name: text,
      version: text,
      state: ref('ModelState'),
      phase: { enum: LOAD_PHASES },
      bytes: count,
      fetched_bytes: count,
      load_seconds: { type: 'number', minimum: 0 },
      reason: text,
      refresh_error: text,
      batching: record({
        enabled: { type: 'boolean', description: 'Rows of different requests may share a run.' },
        decided_by: { enum: DECIDED_BY },
        reason: text,
      }),
      preparation: {
        type: 'object',
        description:
          'How texts, pictures or, by the code beside the model, any JSON become its inputs. Absent: callers send tensors.',
        properties: { kind: { enum: ['text', 'picture', 'code'] } },
        required: ['kind'],
        additionalProperties: ref('PreparedBy'),
      },
    },
    ['version', 'phase', 'bytes', 'fetched_bytes', 'reason', 'refresh_error', 'batching', 'preparation'],
  ),
  PreparedBy: record({
    value: { description: 'Of labels their number, of prompts their names.' },
    from: { ...text, description: 'The file and field that has the value, or `default`.' },
  }),
  ModelList: record({
    models: {
      type: 'array',
      items: record({
        name: text,
        versions: { type: 'array', items: record({ version: text, state: ref('ModelState') }, ['version']) },
      }),
    },
  }),
  Examples: record({
    model: { type: 'object', description: 'What `x-model` of this document has for the model behind `/predict`.' },
    examples: {
      type: 'array',
      maxItems: 20,
      items: record({
        features: { description: 'The `features` of a body of `/predict`.' },
        outputs: { type: 'object', description: 'The values that the model gives, by output.' },
      }),
    },
    has_example: { type: 'boolean', description: 'Whether the model has its example; otherwise it is made up.' },
    max_body_bytes: { ...count, description: 'Most bytes of a request.' },
  }),
  Health: record({
    status: { enum: ['ok', 'draining'] },
    model: ref('ModelStatus'),
    uptime: { type: 'number', description: 'Seconds.' },
  }),
  Ready: record({ status: { const: 'ready' }, model: ref('ModelVersion') }),
  ...OPEN_INFERENCE_SCHEMAS,
  ...TENSORFLOW_SERVING_SCHEMAS,
  ...TEXT_EMBEDDINGS_SCHEMAS,
  ...OPENAI_SCHEMAS,
  ...ERROR_SCHEMAS,
};

/**
 * Writes the OpenAPI 3.1 document of the routes, as JSON. Features and predictions have the types of the loaded model; without
 * one they are of any type.
 * @param isOpen undefined: the routes without `admin` need no token, and the document says nothing of one.
 */
export function writeDocument(routes: readonly Listed[], live: Generation | undefined, isOpen?: IsOpen): string {
  const batchQuery = (z.toJSONSchema(batchQuerySchema) as Json).properties as Json;
  const examples = live === undefined ? undefined : makeExamples(isPublic(routes, isOpen) ? withoutRows(live) : live);
  const context: DocumentContext =
    live === undefined
      ? { batchQuery }
      : {
          batchQuery,
          name: live.name,
          version: live.version,
          bodyTypes: bodyTypesOf(live).slice(1),
          ...(examples && { examples }),
        };
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const described = describeRoute(route, context);
    const operation = isOpen === undefined || isOpen(route) || route.admin ? described : forCallers(described);
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation };
  }
  return JSON.stringify({
    openapi: '3.1.0',
    info: {
      title: live?.name ?? 'onnx-cloud-run',
      version: live?.version ?? '0',
      description: live?.manifest.description ?? 'A model behind HTTP.',
    },
    servers: [{ url: './' }],
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...schemasOf(live), ...SHARED },
      responses: errorResponses(),
      securitySchemes: {
        adminToken: { type: 'http', scheme: 'bearer', description: 'The token in `ADMIN_TOKEN_FILE`.' },
        ...(isOpen !== undefined && {
          callerToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'A token of `AUTH_TOKEN_FILE`, or a JWT of `AUTH_ISSUER`.',
          },
        }),
      },
    },
    ...(live !== undefined && { 'x-model': describeModel(live, examples) }),
  });
}

/** Whether everybody may read the document, on a server where only callers may use the models. */
const isPublic = (routes: readonly Listed[], isOpen: IsOpen): boolean =>
  isOpen !== undefined && routes.some((route) => route.path === '/openapi.json' && isOpen(route));

/** What an example is made of, without the golden rows: they may be data that is not for everybody. */
const withoutRows = ({ manifest, signature, rows }: Generation): Parameters<typeof makeExamples>[0] => ({
  manifest,
  signature,
  rows,
  examples: [],
});

/** The operation of a route that needs a caller's token. */
function forCallers(operation: Json): Json {
  // A dialect with its own form of errors says itself what they are.
  const responses = { ...failing(401, 403), ...(operation.responses as Json) };
  return { ...operation, responses, security: [{ callerToken: [] }] };
}

function schemasOf(live: Generation | undefined): Json {
  const general = anySchemas();
  // Before its first load, the model behind /predict has the schemas of any model.
  const typed =
    live === undefined
      ? Object.fromEntries(Object.entries(general).map(([name, schema]) => [name.replace(/^Any/, ''), schema]))
      : modelSchemas(typedOf(live));
  return { ...typed, ...bodies(''), ...general, ...bodies('Any') };
}

/** The schemas of the bodies of `/predict` and `/batch_predict`. */
function bodies(any: string): Json {
  const { $schema, ...body } = z.toJSONSchema(envelope, { unrepresentable: 'any', io: 'input' }) as Json;
  const features = ref(`${any}Features`);
  return {
    [`${any}PredictBody`]: { ...body, properties: { ...(body.properties as Json), features } },
    [`${any}BatchBody`]: {
      anyOf: [
        { type: 'object', properties: { instances: { type: 'array', items: features } }, required: ['instances'] },
        { type: 'array', items: ref(`${any}PredictBody`) },
      ],
    },
  };
}

function typedOf(live: Generation): Typed {
  const { signature, manifest, joinsRows } = live;
  const { labels, answer } = predictionEncoderOf(live);
  return { signature, manifest, joinsRows, labels, answer };
}
