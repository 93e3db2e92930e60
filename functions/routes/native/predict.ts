import type { ServingError } from '../../errors.ts';
import { chargeRows } from '../../http/quota.ts';
import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { BufferedRoute } from '../../http/router.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Metrics, ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import { isObject, type JsonObject, type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { type BodyReader, isLarge } from '../body-reader.ts';
import { createAdmit, loadedAt, modelOf, modelPaths } from '../model-address.ts';
import { BODY_TYPES, isPlainJson, JSON_TYPE, readPicture, requireTypeFor } from './picture-body.ts';
import { readPredictBody, writePrediction } from './prediction.ts';
import { predictionEncoderOf } from './prediction-encoder.ts';

/**
 * Responds to a body with `inputs` instead of `features`, as clients of text-embeddings-inference send it to a model of texts.
 * @param live held by the caller.
 */
export type PredictTexts = (context: RequestContext, body: JsonObject, live: Generation) => Promise<void>;

/** What the routes of `/predict` need. */
interface PredictOptions {
  readonly repository: Repository;
  readonly parser: BodyReader;
  readonly metrics: Metrics;
  /** Most bytes of a body. */
  readonly maxBodyBytes: number;
  readonly predictTexts?: PredictTexts;
}

/** `POST /predict`, also below the path of a model: predicts one row. A model of pictures also takes one as the body. */
export function createPredictRoutes({
  repository,
  parser,
  metrics,
  maxBodyBytes,
  predictTexts,
}: PredictOptions): BufferedRoute[] {
  async function handle(context: RequestContext, bytes: Buffer): Promise<void> {
    const model = context.params.name === undefined ? repository.main : await modelOf(repository, context);
    // The body is complete: waiting for a load, as long as the deadline allows, keeps no client from sending it.
    const live = model.live() ?? (await model.whenLive());
    live.hold();
    try {
      if (live.preparation?.kind === 'text' && predictTexts !== undefined) {
        if (!isPlainJson(context.req)) requireTypeFor(live, context.req);
        const body = await parser.parse(bytes, context);
        if (hasInputs(body)) await predictTexts(context, body, live);
        else await predictRow(context, readPredictBody(body, live), live, metrics.model(live.name));
        return;
      }
      const feeds =
        isLarge(bytes) || !isPlainJson(context.req)
          ? await readOther(bytes, live, context)
          : readPredictBody(readJson(bytes), live);
      await predictRow(context, feeds, live, metrics.model(live.name));
    } finally {
      live.release();
    }
  }

  async function readOther(bytes: Buffer, live: Generation, context: RequestContext): Promise<RowFeeds> {
    const type = requireTypeFor(live, context.req);
    if (type !== JSON_TYPE) return readPicture(type, context.req, bytes);
    return isLarge(bytes) ? parser.readFeeds(bytes, live.rows.form, context) : readPredictBody(readJson(bytes), live);
  }
  const body = { kind: 'buffered', limit: maxBodyBytes, mediaTypes: BODY_TYPES } as const;
  const admitRow = createAdmit(repository);
  function admit(context: RequestContext): ServingError | undefined {
    return isPlainJson(context.req) ? admitRow(context) : (refuseType(repository, context) ?? admitRow(context));
  }
  return modelPaths('/predict').map((at) => ({ method: 'POST', ...at, admit, body, handle }));
}

const hasInputs = (body: JsonValue): body is JsonObject =>
  isObject(body) && body.inputs !== undefined && body.features === undefined;

/** The error for a body that a loaded model does not take, before it is sent. */
function refuseType(repository: Pick<Repository, 'loaded'>, context: RequestContext): ServingError | undefined {
  const live = loadedAt(repository, context);
  try {
    if (live !== undefined) requireTypeFor(live, context.req);
    return undefined;
  } catch (error) {
    return error as ServingError;
  }
}

/**
 * Runs one row, counts it, and sends its prediction.
 * @param live held by the caller.
 * @throws ServingError as `Generation.predict` does.
 */
export async function predictRow(
  context: RequestContext,
  feeds: RowFeeds,
  live: Generation,
  recorder: ModelRecorder,
): Promise<void> {
  // Before the run: see predictRows.
  const encoder = predictionEncoderOf(live);
  chargeRows(context, feeds.rows);
  const [outcome] = await live.predict(feeds, context.cancellation);
  const failed = 'error' in outcome!;
  recorder.rows(failed ? 0 : 1, failed ? 1 : 0);
  const json = `{${writePrediction(outcome!, feeds, encoder)},${modelMember(live)}}`;
  if (!context.cancellation.cancelled) sendJson(context, 200, json);
}

const members = new WeakMap<Generation, string>();

function modelMember(live: Generation): string {
  let member = members.get(live);
  if (member === undefined) {
    member = `"model":${JSON.stringify({ name: live.name, version: live.version })}`;
    members.set(live, member);
  }
  return member;
}
