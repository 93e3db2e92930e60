import type { IncomingMessage } from 'node:http';
import { requireMediaType } from '../../http/body/read-body.ts';
import { chargeRows } from '../../http/quota.ts';
import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import { type BodyReader, isLarge, type Owner } from '../body-reader.ts';
import { createInstanceWriter } from '../instances/instance-writer.ts';
import { runInstances, type WriteInstance } from '../instances/run-instances.ts';
import { createAdmit } from '../model-address.ts';
import { predictRow } from '../native/predict.ts';
import { predictionEncoderOf } from '../native/prediction-encoder.ts';
import { readRequest, readTextLength, runInfer } from '../open-inference/infer.ts';
import { sendOutputs } from '../open-inference/response.ts';
import { createReadiness } from '../status/probes.ts';
import { readVertexBody, type VertexBody } from './body.ts';

/** What the routes of Vertex AI need. */
export interface VertexOptions {
  readonly repository: Repository;
  readonly parser: BodyReader;
  readonly metrics: Metrics;
  /** Most bytes of a body, compressed and inflated. */
  readonly maxBodyBytes: number;
  readonly draining: () => boolean;
  /** The settings of Vertex AI, undefined elsewhere: `AIP_PREDICT_ROUTE`, `AIP_HEALTH_ROUTE`, and the ids in their defaults. */
  readonly predictRoute: string | undefined;
  readonly healthRoute: string | undefined;
  readonly endpointId: string | undefined;
  readonly deployedModelId: string | undefined;
}

/** Triton's media type for binary tensors after a JSON text: raw predict forwards the content type, but not every header. */
const TRITON_BINARY = 'application/vnd.vertex-ai-triton.binary+json';
const MEDIA_TYPES = ['application/json', 'application/octet-stream', TRITON_BINARY];
const TENSORFLOW_SERVING = /^\/v1\/models\/[^/]+(\/versions\/[^/]+)?:predict$/;

/**
 * The routes of Vertex AI's contract with a container, at the paths that its variables name (Vertex AI, "Custom container
 * requirements"): `POST` predicts, and `GET` reports readiness. There are none if it sets no paths. Both may have the same path,
 * and may replace a route of the server's own.
 *
 * They serve the model behind `/predict`: `instances` give `predictions` of the same length and order, each an object as in the
 * response of `/predict`; or only the outputs' values, if the path is one of TensorFlow Serving's. The dialect of other bodies,
 * which raw predict forwards, is read from their keys: see `readVertexBody`. Binary tensors need
 * `Inference-Header-Content-Length`, or Triton's media type.
 */
export function createVertexRoutes(options: VertexOptions): Route[] {
  const { repository, parser, metrics, maxBodyBytes, endpointId, deployedModelId } = options;
  const byDefault =
    endpointId === undefined || deployedModelId === undefined
      ? undefined
      : `/v1/endpoints/${endpointId}/deployedModels/${deployedModelId}:predict`;
  const predictPath = options.predictRoute ?? byDefault;
  const healthPath = options.healthRoute ?? byDefault;
  const valuesOnly = predictPath !== undefined && TENSORFLOW_SERVING.test(predictPath);

  async function predict(context: RequestContext, bytes: Buffer): Promise<void> {
    const { req } = context;
    const header = textLengthOf(req);
    const textBytes = header === undefined ? undefined : readTextLength(header, bytes.length);
    const live = repository.main.live() ?? (await repository.main.whenLive());
    live.hold();
    try {
      const body = await readBody(bytes, textBytes, live, context);
      await respond(context, body, live, isTriton(req));
    } finally {
      live.release();
    }
  }

  async function readBody(
    bytes: Buffer,
    textBytes: number | undefined,
    live: Generation,
    owner: Owner,
  ): Promise<VertexBody> {
    if (textBytes !== undefined)
      return { form: 'infer', request: await readRequest(bytes, textBytes, live, parser, owner) };
    return isLarge(bytes)
      ? parser.readInThread<VertexBody>(bytes, { as: 'vertex', form: live.rows.form }, owner)
      : readVertexBody(bytes, live.rows);
  }

  async function respond(context: RequestContext, body: VertexBody, live: Generation, triton: boolean): Promise<void> {
    const recorder = metrics.model(live.name);
    if (body.form === 'features') return predictRow(context, body.feeds, live, recorder);
    if (body.form === 'infer') {
      const outputs = await runInfer(context, live, body.request, recorder);
      return sendOutputs(context, live.name, live, body.request, outputs, triton ? tritonType : undefined);
    }
    const write = valuesOnly ? createInstanceWriter(live) : predictionsOf(live);
    chargeRows(context, body.instances.count);
    const texts = await runInstances(body.instances, live, context.cancellation, recorder, write);
    if (!context.cancellation.cancelled) sendJson(context, 200, `{"predictions":[${texts.join(',')}]}`);
  }

  const routes: Route[] = [];
  if (predictPath !== undefined) {
    const body = {
      kind: 'buffered',
      limit: maxBodyBytes,
      mediaTypes: MEDIA_TYPES,
      inflates: true,
      textBytes: (req: IncomingMessage) => Number(textLengthOf(req)) || 0,
    } as const;
    const admit = createAdmit(repository);
    routes.push({ method: 'POST', path: predictPath, main: true, admit, body, handle: predict });
  }
  if (healthPath !== undefined) {
    const handle = createReadiness({ model: repository.main, isMain: repository.isMain, draining: options.draining });
    routes.push({ method: 'GET', path: healthPath, probe: true, open: true, handle });
  }
  return routes;
}

/** Made before the run, with the model's encoder of that time: see `predictRows` of routes/native/row-batch.ts. */
function predictionsOf(live: Generation): WriteInstance {
  const encoder = predictionEncoderOf(live);
  return (outputs, row, isRow) => `{${encoder.encode(outputs, row, isRow)}}`;
}

const isTriton = (req: IncomingMessage): boolean => requireMediaType(req, MEDIA_TYPES) === TRITON_BINARY;

/** The length of the JSON text before binary data, as the caller sends it: in Triton's media type, or the header. */
const textLengthOf = (req: IncomingMessage): string | undefined =>
  isTriton(req)
    ? headerSize(req.headers['content-type']!)
    : (req.headers['inference-header-content-length'] as string | undefined);

/** The parameter of Triton's media type; a text that is no length is refused like an invalid header. */
const headerSize = (contentType: string): string =>
  /;\s*json-header-size\s*=\s*"?([^\s;"]*)/i.exec(contentType)?.[1] ?? 'none';

const tritonType = (textBytes: number): string => `${TRITON_BINARY};json-header-size=${textBytes}`;
