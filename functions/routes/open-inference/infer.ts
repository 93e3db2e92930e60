import type { IncomingMessage } from 'node:http';
import type { RequestTerms } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import { chargeRows } from '../../http/quota.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { BufferedRoute } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { predictTensors } from '../../model/serving/predict-tensors.ts';
import type { Metrics, ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type BodyReader, isLarge, type Owner } from '../body-reader.ts';
import { createAdmit } from '../model-address.ts';
import { generationAt, MODEL_PATHS } from './addressing.ts';
import { type InferRequest, readInfer } from './request.ts';
import { sendOutputs } from './response.ts';
import type { Tracer } from './triton/tracer.ts';

/** What the infer routes need. */
export interface InferOptions {
  readonly repository: Repository;
  readonly parser: BodyReader;
  readonly metrics: Metrics;
  /** Most bytes of a body, compressed and inflated. */
  readonly maxBodyBytes: number;
  readonly tracer: Tracer;
}

const TEXT_LENGTH = 'inference-header-content-length';

/**
 * `POST /v2/models/{name}[/versions/{version}]/infer`: tensors in, tensors out, each as JSON or binary data. The header with the
 * length of the JSON text marks where binary data begins; as in Triton, the content type is ignored.
 */
export function createInferRoutes({
  repository,
  parser,
  metrics,
  maxBodyBytes,
  tracer,
}: InferOptions): BufferedRoute[] {
  async function handle(context: RequestContext, body: Buffer): Promise<void> {
    const header = textLengthOf(context.req);
    const textBytes = header === undefined ? undefined : readTextLength(header, body.length);
    const live = await generationAt(repository, context);
    live.hold();
    try {
      await respond(context, body, textBytes, live);
    } finally {
      live.release();
    }
  }

  async function respond(
    context: RequestContext,
    body: Buffer,
    textBytes: number | undefined,
    live: Generation,
  ): Promise<void> {
    const request = await readRequest(body, textBytes, live, parser, context);
    const trace = tracer.start(context.params.name!);
    trace?.mark('REQUEST_START', context.startedAt);
    trace?.mark('QUEUE_START');
    const outputs = await runInfer(context, live, request, metrics.model(live.name));
    trace?.mark('COMPUTE_END');
    await sendOutputs(context, context.params.name!, live, request, outputs);
    trace?.mark('REQUEST_END');
    trace?.end({ model: live.name, version: live.version, requestId: context.id });
  }

  const body = {
    kind: 'buffered',
    limit: maxBodyBytes,
    inflates: true,
    textBytes: (req: IncomingMessage) => Number(textLengthOf(req)) || 0,
  } as const;
  const admit = createAdmit(repository);
  return MODEL_PATHS.map((model) => ({ method: 'POST', path: `${model}/infer`, admit, body, handle }));
}

const textLengthOf = ({ headers }: IncomingMessage): string | undefined => headers[TEXT_LENGTH] as string | undefined;

/**
 * Reads the body of an infer request, in a thread if that takes long.
 * @param textBytes as for `readInfer`.
 * @throws ServingError as `readInfer` and `BodyReader.readInThread` do.
 */
export function readRequest(
  body: Buffer,
  textBytes: number | undefined,
  live: Generation,
  parser: BodyReader,
  owner: Owner,
): InferRequest | Promise<InferRequest> {
  const { form } = live.rows;
  return isLongToRead(body, textBytes, live)
    ? parser.readInThread<InferRequest>(body, { as: 'infer', form, textBytes }, owner)
    : readInfer(body, form, textBytes);
}

/**
 * Reads the length of the JSON text before binary data, in bytes.
 * @param header the value of `Inference-Header-Content-Length`.
 * @throws ServingError `INVALID_INPUT` for anything but an integer from 0 to `bodyBytes`.
 */
export function readTextLength(header: string, bodyBytes: number): number {
  const length = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (length <= bodyBytes) return length;
  const message = `Inference-Header-Content-Length: expected an integer from 0 to ${bodyBytes}, the length of the body, got ${header.slice(0, 40)}`;
  throw new ServingError('INVALID_INPUT', message, { path: 'Inference-Header-Content-Length' });
}

/** JSON takes time by its length, as do texts and booleans in binary data, which are checked one by one; other binary data does not. */
function isLongToRead(body: Buffer, textBytes: number | undefined, { signature }: Generation): boolean {
  if (!isLarge(body)) return false;
  if (textBytes === undefined || isLarge({ length: textBytes })) return true;
  return signature.inputs.some(({ dtype }) => dtype === 'string' || dtype === 'bool');
}

/**
 * Runs an infer request within its own timeout, and counts its rows.
 * @param live held by the caller.
 * @returns all outputs, in the order of the signature.
 * @throws ServingError `DEADLINE`; as `predictTensors` does.
 */
export async function runInfer(
  context: RequestContext,
  live: Generation,
  request: InferRequest,
  recorder: ModelRecorder,
): Promise<readonly Tensor[]> {
  const rows = live.joinsRows ? request.tensors[0]!.dims[0]! : 1;
  chargeRows(context, rows);
  let ok = false;
  try {
    if (request.priority !== undefined) context.cancellation.priority = request.priority;
    const outputs = await within(request.timeout, context, (terms) => predictTensors(live, request.tensors, terms));
    ok = true;
    return outputs;
  } finally {
    recorder.rows(ok ? rows : 0, ok ? 0 : rows);
  }
}

/**
 * Ends the work after the caller's own timeout, which starts with the request's head.
 * @param timeout microseconds; undefined for none.
 * @throws ServingError `DEADLINE`. Rows that wait for a run are dropped then; a run that has started is not ended.
 */
async function within<T>(
  timeout: number | undefined,
  { startedAt, cancellation }: RequestContext,
  work: (terms: RequestTerms) => Promise<T>,
): Promise<T> {
  if (timeout === undefined) return work(cancellation);
  const left = timeout / 1000 - (performance.now() - startedAt);
  const late = Promise.withResolvers<never>();
  const own = { over: false };
  const expire = (): void => {
    own.over = true;
    late.reject(new ServingError('DEADLINE', `no response within ${timeout} µs (parameters.timeout)`));
  };
  const timer = left > 0 ? setTimeout(expire, Math.min(left, LONGEST_TIMER_MS)) : expire();
  const working = own.over
    ? late.promise
    : work({
        deadline: Math.min(startedAt + timeout / 1000, cancellation.deadline ?? Number.POSITIVE_INFINITY),
        priority: cancellation.priority,
        caller: cancellation.caller,
        get cancelled() {
          return own.over || cancellation.cancelled;
        },
      });
  try {
    return await Promise.race([working, late.promise]);
  } finally {
    clearTimeout(timer as NodeJS.Timeout | undefined);
    // Late rejections are not used.
    working.catch(() => {});
    late.promise.catch(() => {});
  }
}

/** The longest delay of a timer of Node. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
