import { type Caller, mayUse, mayUseMain } from '../../access/caller.ts';
import { ServingError } from '../../errors.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import { unknownModel } from '../../model/folder/layout.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Metrics, ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import { encodeFlat } from '../../tensor/encode.ts';
import type { JsonObject } from '../../tensor/json/reader.ts';
import type { BodyReader } from '../body-reader.ts';
import { createAdmit } from '../model-address.ts';
import { createEmbeddingReader } from '../texts/embeddings.ts';
import { requireObject } from '../texts/fields.ts';
import { readInput } from '../texts/input.ts';
import { runTexts } from '../texts/run-texts.ts';
import { RowTexts, sendRows } from '../texts/send-rows.ts';
import { requireTask } from '../texts/task.ts';
import { type EmbeddingsBody, readEmbeddingsBody } from './body.ts';
import { shapeFailure } from './failure.ts';

/** What the routes of OpenAI's API need. */
interface OpenAiOptions {
  readonly repository: Repository;
  readonly parser: Pick<BodyReader, 'parse'>;
  readonly metrics: Metrics;
  /** Most bytes of a body. */
  readonly maxBodyBytes: number;
}

/**
 * OpenAI's `POST /v1/embeddings` (https://platform.openai.com/docs/api-reference/embeddings). Its `GET /v1/models` is also a
 * route of KServe, whose response has the members of both; `GET /v1/models/{name}` is that of TensorFlow Serving alone.
 */
export function createOpenAiRoutes({ repository, parser, metrics, maxBodyBytes }: OpenAiOptions): Route[] {
  async function handle(context: RequestContext, bytes: Buffer): Promise<void> {
    const body = requireObject(await parser.parse(bytes, context));
    const asked = readEmbeddingsBody(body);
    const live = await generationNamed(repository, context.caller, asked.model);
    live.hold();
    try {
      await sendEmbeddings(context, body, asked, live, metrics.model(live.name));
    } finally {
      live.release();
    }
  }
  const body = { kind: 'buffered', limit: maxBodyBytes, mediaTypes: ['application/json'] } as const;
  // Which queue it is for is in the body.
  const admit = createAdmit({ loaded: () => undefined });
  return [{ method: 'POST', path: '/v1/embeddings', admit, body, shapeFailure, handle }];
}

/**
 * The generation of a model that the caller may use.
 * @param name undefined: the model behind `/predict`
 * @throws ServingError `NOT_FOUND`; `NOT_READY`
 */
async function generationNamed(
  repository: Repository,
  caller: Caller | undefined,
  name: string | undefined,
): Promise<Generation> {
  if (name !== undefined && !mayUse(caller, name, repository.isMain)) throw unknown(unknownModel(name));
  const model = name === undefined ? repository.main : await repository.find(name).catch(refuse);
  const live = model.live() ?? (await model.whenLive().catch((error) => refuseMain(error, repository, caller, name)));
  if (name === undefined && !mayUseMain(caller, repository.isMain)) throw noModel();
  return live;
}

function refuse(error: unknown): never {
  throw error instanceof ServingError && error.code === 'NOT_FOUND' ? unknown(error) : error;
}

/** Why the model behind `/predict` is not loaded is shown to those alone who may use it. */
function refuseMain(
  error: unknown,
  { isMain }: Repository,
  caller: Caller | undefined,
  name: string | undefined,
): never {
  throw name === undefined && !mayUseMain(caller, isMain) ? noModel() : error;
}

const unknown = ({ message }: ServingError): ServingError => new ServingError('NOT_FOUND', message, { path: 'model' });

const noModel = (): ServingError =>
  new ServingError('NOT_FOUND', 'model: is missing: name a model that you may use', { path: 'model' });

/** @param live held by the caller */
async function sendEmbeddings(
  context: RequestContext,
  body: JsonObject,
  { isBase64, dimensions }: EmbeddingsBody,
  live: Generation,
  recorder: ModelRecorder,
): Promise<void> {
  const settings = requireTask(live, 'embedding');
  const input = readInput(body.input, 'input', { maxLength: settings.maxLength.value });
  const read = createEmbeddingReader(live, settings, { dimensions, normalize: true });
  const write = isBase64 ? base64Of : numbersOf;
  const written = new RowTexts(input.rows);
  const { tokens, truncated } = await runTexts(
    live,
    input,
    { normalize: true },
    context,
    recorder,
    (row, outputs, at) => {
      const embedding = read(outputs, at);
      written.set(row, `{"object":"embedding","index":${row},"embedding":${write(embedding)}}`);
      return embedding.length;
    },
  );
  const usage = JSON.stringify({ prompt_tokens: tokens, total_tokens: tokens });
  const close = `],"model":${JSON.stringify(live.name)},"usage":${usage}}`;
  const fields = truncated > 0 ? ['x-truncated-inputs', String(truncated)] : [];
  await sendRows(context, written, ['{"object":"list","data":[', close], fields);
}

const numbersOf = (data: Float32Array): string => encodeFlat({ dtype: 'float32', dims: [data.length], data });

/** The bytes of the float32 values, which are little-endian on every machine that Node runs on. */
const base64Of = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  `"${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}"`;
