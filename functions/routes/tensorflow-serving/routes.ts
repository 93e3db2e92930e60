import { ServingError } from '../../errors.ts';
import { chargeRows } from '../../http/quota.ts';
import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { predictTensors } from '../../model/serving/predict-tensors.ts';
import { shorten } from '../../shorten.ts';
import type { Metrics, ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import { MAX_VALUES, readJson } from '../../tensor/json/reader.ts';
import { type BodyReader, isLarge } from '../body-reader.ts';
import { createInstanceWriter } from '../instances/instance-writer.ts';
import { runInstances } from '../instances/run-instances.ts';
import { createAdmit, describedAt, generationAt, listFor } from '../model-address.ts';
import { showModel } from '../openai/models.ts';
import { type PredictBody, readTensorFlowBody } from './body.ts';
import { writeColumns } from './columns.ts';
import { showMetadata } from './metadata.ts';
import { showStatus } from './status.ts';

/** What the routes of TensorFlow Serving need. */
interface TensorFlowServingOptions {
  readonly repository: Repository;
  readonly parser: BodyReader;
  readonly metrics: Metrics;
  /** Most bytes of a body, compressed and inflated. */
  readonly maxBodyBytes: number;
}

const MODEL = '/v1/models/{name}';
const PLACES = [MODEL, `${MODEL}/versions/{version}`, `${MODEL}/labels/{label}`] as const;

/**
 * TensorFlow Serving's REST API (tensorflow/serving, g3doc/api_rest.md; tensorflow_serving/util/json_tensor.cc): `POST
 * /v1/models/{name}:predict`, `GET /v1/models/{name}` and `GET /v1/models/{name}/metadata`, and the same of a version. The
 * name ends at the last colon. As there, the content type is ignored: a body is JSON. `:classify` and `:regress` take
 * `tf.train.Example`, which no ONNX model does: `UNSUPPORTED`. Versions have no labels here: `NOT_FOUND`.
 *
 * KServe's v1 protocol has the same `:predict` (kserve/kserve, python/kserve/kserve/handlers/v1_endpoints.py): `GET /v1/models` lists the models for it,
 * and `:explain` is `UNSUPPORTED`. The list also has the members of OpenAI's list.
 */
export function createTensorFlowServingRoutes(options: TensorFlowServingOptions): Route[] {
  const { repository, parser, metrics, maxBodyBytes } = options;

  async function predict(context: RequestContext, bytes: Buffer): Promise<void> {
    const live = await generationAt(repository, context);
    live.hold();
    try {
      const { form } = live.rows;
      const body = isLarge(bytes)
        ? await parser.readInThread<PredictBody>(bytes, { as: 'tensorflow', form }, context)
        : readTensorFlowBody(readJson(bytes, 0, bytes.length, MAX_VALUES, true), live.rows);
      const json = await responseOf(body, live, context, metrics.model(live.name));
      if (!context.cancellation.cancelled) sendJson(context, 200, json);
    } finally {
      live.release();
    }
  }

  async function metadata(context: RequestContext): Promise<void> {
    const live = await describedAt(repository, context);
    sendJson(context, 200, JSON.stringify(showMetadata(live)));
  }

  async function status(context: RequestContext): Promise<void> {
    const { name, version } = context.params;
    sendJson(context, 200, JSON.stringify(await showStatus(repository, name!, version)));
  }

  async function list(context: RequestContext): Promise<void> {
    const models = (await listFor(repository, context)).map(({ name }) => name);
    sendJson(context, 200, JSON.stringify({ models, object: 'list', data: models.map(showModel) }));
  }

  const body = { kind: 'buffered', limit: maxBodyBytes, inflates: true } as const;
  const admit = createAdmit(repository);
  const ofModels = PLACES.flatMap((path): Route[] => {
    const labelled = path.endsWith('{label}') ? refuseLabel : undefined;
    const refused = { classify: refuseExamples, regress: refuseExamples, explain: refuseExplaining };
    return [
      // Before the status, whose pattern would match the colon as a part of the name.
      labelled === undefined
        ? { method: 'POST', path: `${path}:predict`, admit, body, handle: predict }
        : { method: 'POST', path: `${path}:predict`, handle: labelled },
      ...Object.entries(refused).map(
        ([verb, refuse]): Route => ({ method: 'POST', path: `${path}:${verb}`, handle: labelled ?? refuse }),
      ),
      { method: 'GET', path: `${path}/metadata`, handle: labelled ?? metadata },
      { method: 'GET', path, handle: labelled ?? status },
    ];
  });
  return [{ method: 'GET', path: '/v1/models', handle: list }, ...ofModels];
}

/** The JSON of the response to a body of `:predict`. */
async function responseOf(
  body: PredictBody,
  live: Generation,
  context: RequestContext,
  recorder: ModelRecorder,
): Promise<string> {
  const { cancellation } = context;
  if (body.form === 'row') {
    chargeRows(context, body.instances.count);
    const texts = await runInstances(body.instances, live, cancellation, recorder, createInstanceWriter(live));
    return `{"predictions":[${texts.join(',')}]}`;
  }
  const rows = live.joinsRows ? body.tensors[0]!.dims[0]! : 1;
  chargeRows(context, rows);
  let ok = false;
  try {
    const outputs = await predictTensors(live, body.tensors, cancellation);
    ok = true;
    return `{"outputs":${await writeColumns(live.signature, outputs)}}`;
  } finally {
    recorder.rows(ok ? rows : 0, ok ? 0 : rows);
  }
}

function refuseExamples(): never {
  const message = 'classify and regress take tf.train.Example, which ONNX models do not: send rows to :predict';
  throw new ServingError('UNSUPPORTED', message);
}

function refuseExplaining(): never {
  throw new ServingError('UNSUPPORTED', 'this server has models, and no explainers: send rows to :predict');
}

function refuseLabel({ params }: RequestContext): never {
  const label = shorten(params.label!);
  const message = `there is no version label ${label}: name a version, /versions/{version}, or none for the highest`;
  throw new ServingError('NOT_FOUND', message);
}
