import type { Ticket } from '../../engine/batcher.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { ServingError } from '../../errors.ts';
import { mediaType } from '../../http/body-in.ts';
import type { Exchange } from '../../http/exchange.ts';
import { readInflated } from '../../http/inflate.ts';
import { isLarge, type JsonParser, type Owner } from '../../http/json-body.ts';
import type { Route } from '../../http/router.ts';
import type { Generation } from '../../model/generation.ts';
import type { Repository } from '../../model/repository.ts';
import { predictWhole } from '../../model/whole.ts';
import type { Metrics, ModelRecorder } from '../../telemetry/metrics.ts';
import { generationAt, MODEL_PATHS } from './addressing.ts';
import { type InferRequest, readInfer } from './request.ts';
import { sendOutputs } from './response.ts';

export interface InferOptions {
  readonly repository: Repository;
  readonly parser: JsonParser;
  readonly metrics: Metrics;
  readonly maxBodyBytes: number;
}

const MEDIA_TYPES = ['application/json', 'application/octet-stream'];
const TEXT_LENGTH = 'inference-header-content-length';

/** `POST /v2/models/{name}[/versions/{version}]/infer`: whole tensors in, whole tensors out, as JSON or binary each. */
export function createInferRoutes({ repository, parser, metrics, maxBodyBytes }: InferOptions): Route[] {
  async function handle(exchange: Exchange): Promise<void> {
    const { req } = exchange;
    mediaType(req, MEDIA_TYPES);
    const header = req.headers[TEXT_LENGTH] as string | undefined;
    const body = await readInflated(req, maxBodyBytes, Number(header) || 0);
    const textBytes = header === undefined ? undefined : readTextLength(header, body.length);
    const live = await generationAt(repository, exchange);
    live.hold();
    try {
      await answer(exchange, body, textBytes, live);
    } finally {
      live.release();
    }
  }

  async function answer(
    exchange: Exchange,
    body: Buffer,
    textBytes: number | undefined,
    live: Generation,
  ): Promise<void> {
    const started = performance.now();
    const request = await readRequest(body, textBytes, live, parser, exchange);
    await answerInfer(exchange, live, request, metrics.model(live.name), started);
  }

  return MODEL_PATHS.map((model) => ({ method: 'POST', path: `${model}/infer`, handle }));
}

/** Reads the body of an infer request, in the thread where that takes long. @throws ServingError as `readInfer` does. */
export function readRequest(
  body: Buffer,
  textBytes: number | undefined,
  live: Generation,
  parser: JsonParser,
  owner: Owner,
): InferRequest | Promise<InferRequest> {
  const { form } = live.rows;
  return isLongToRead(body, textBytes, live)
    ? parser.readAside<InferRequest>(body, { as: 'infer', form, textBytes }, owner)
    : readInfer(body, form, textBytes);
}

/**
 * Runs an infer request and answers it. The path's `name` is what the answer calls the model.
 * @param started `performance.now()` when its body began to be read.
 * @param binaryType the media type of an answer with binary data, by the length of its JSON text.
 */
export async function answerInfer(
  exchange: Exchange,
  live: Generation,
  request: InferRequest,
  recorder: ModelRecorder,
  started: number,
  binaryType?: (textBytes: number) => string,
): Promise<void> {
  const outputs = await run(request, exchange, live, recorder);
  await sendOutputs(exchange, live, request, outputs, binaryType);
  recorder.latency((performance.now() - started) / 1000);
}

/** @throws ServingError `INVALID_INPUT`. */
export function readTextLength(header: string, bodyBytes: number): number {
  const length = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (length <= bodyBytes) return length;
  const message = `Inference-Header-Content-Length: expected an integer from 0 to ${bodyBytes}, the length of the body, got ${header.slice(0, 40)}`;
  throw new ServingError('INVALID_INPUT', message, { path: 'Inference-Header-Content-Length' });
}

/** JSON takes time by its length, and so do texts and booleans in binary data, which are looked at one by one. */
function isLongToRead(body: Buffer, textBytes: number | undefined, { signature }: Generation): boolean {
  if (!isLarge(body)) return false;
  if (textBytes === undefined || isLarge({ length: textBytes })) return true;
  return signature.inputs.some(({ dtype }) => dtype === 'string' || dtype === 'bool');
}

async function run(
  request: InferRequest,
  exchange: Exchange,
  live: Generation,
  recorder: ModelRecorder,
): Promise<readonly Tensor[]> {
  const rows = live.joined ? request.tensors[0]!.dims[0]! : 1;
  let ok = false;
  try {
    const outputs = await within(request.timeout, exchange, (ticket) => predictWhole(live, request.tensors, ticket));
    ok = true;
    return outputs;
  } finally {
    recorder.rows(ok ? rows : 0, ok ? 0 : rows);
  }
}

/**
 * Gives up after the caller's own time, counted from the request's head, where that ends before the server's.
 * @throws ServingError `DEADLINE`. Rows that wait for a run are dropped then; a run under way goes on.
 */
async function within<T>(
  timeout: number | undefined,
  { startedAt, ticket }: Exchange,
  work: (ticket: Ticket) => Promise<T>,
): Promise<T> {
  if (timeout === undefined) return work(ticket);
  const left = timeout / 1000 - (performance.now() - startedAt);
  const late = Promise.withResolvers<never>();
  const own = { over: false };
  const expire = (): void => {
    own.over = true;
    late.reject(new ServingError('DEADLINE', `no answer within ${timeout} µs (parameters.timeout)`));
  };
  const timer = left > 0 ? setTimeout(expire, Math.min(left, LONGEST_TIMER_MS)) : expire();
  const working = own.over
    ? late.promise
    : work({
        get gone() {
          return own.over || ticket.gone;
        },
      });
  try {
    return await Promise.race([working, late.promise]);
  } finally {
    clearTimeout(timer as NodeJS.Timeout | undefined);
    // Nobody is left to hear how it ended.
    working.catch(() => {});
    late.promise.catch(() => {});
  }
}

/** The longest that a timer of Node takes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
