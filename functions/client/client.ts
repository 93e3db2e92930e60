/**
 * The typed client: a server's predictions over `fetch`, without a dependency. For Node 20 and later, Deno, and pages that the server's
 * own origin serves: the server sends no CORS headers.
 */
import { batchPredict, type RowLine } from './batch-predict.ts';
import { ClientError } from './client-error.ts';
import { type Answer, type Connection, call, type Fetch, sendsWhileItReads } from './connection.ts';
import { type Encoding, readInfer, writeInfer } from './infer.ts';
import type { InferRequest, InferResponse, ModelMetadata, OutputChoice, ServerMetadata } from './infer-types.ts';
import { parseJson, writeJson } from './json.ts';
import type { Rows } from './row-reader.ts';

export { type ClientCode, ClientError, type ClientErrorDetails } from './client-error.ts';
export type { Fetch } from './connection.ts';
export type { Encoding } from './infer.ts';
export type * from './infer-types.ts';
export type { Rows } from './row-reader.ts';
export type { AnyTensor, Datatype, Tensor, TensorData } from './tensor.ts';

export interface ClientOptions {
  /** The server's address: `https://serving-abc.run.app`, with a path where it has one. */
  readonly url: string | URL;
  /** The model of calls that name none; `predict` and `batchPredict` need none where the server has a default. */
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  /** Sent with every call; a function is called at every attempt. */
  readonly headers?: Readonly<Record<string, string>> | (() => Awaitable<Readonly<Record<string, string>>>) | undefined;
  /** For `Authorization: Bearer`, such as the identity token that Cloud Run requires; a function is called at every attempt. */
  readonly token?: string | (() => Awaitable<string>) | undefined;
  /** Repeats of a call that failed with a transient error. @default 5 */
  readonly retries?: number | undefined;
  /** Milliseconds for a call with its repeats, and for the answer to a row of `batchPredict`. @default 60_000 */
  readonly timeoutMs?: number | undefined;
  /** @default globalThis.fetch */
  readonly fetch?: Fetch | undefined;
}

type Awaitable<T> = T | Promise<T>;

export interface CallOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
}

export interface InferOptions extends CallOptions {
  /** In JSON, FP16 has no form, and 64-bit integers of more than 53 bits can't be read. @default 'binary' */
  readonly encoding?: Encoding | undefined;
}

export interface BatchOptions extends CallOptions {
  /** Rows that the server answers at a time. @default 64 */
  readonly batchSize?: number | undefined;
  /** Rows that may be read from the source and not answered, and so be sent again. @default 4096 */
  readonly maxUnanswered?: number | undefined;
  /**
   * Whether one request is sent and read at the same time. Where that can't be done, because a browser or a proxy reads a body to its
   * end first, each window of rows is a request. By default it is done in Node and Deno.
   */
  readonly duplex?: boolean | undefined;
}

/** The answer to one row. JSON numbers: digits of integers beyond 2^53 are lost, `infer` keeps them. */
export interface Prediction<P, O> {
  readonly prediction: P;
  /** The name of the class, where model.json has one. */
  readonly label?: string;
  readonly outputs: O;
  readonly model: { readonly name: string; readonly version: string };
}

export interface RowError {
  readonly message: string;
  readonly code: string;
  readonly path?: string;
}

/** A row's answer: where `error` is undefined there is a prediction. `index` counts the rows that were given. */
export type BatchRow<P, O> =
  | (Omit<Prediction<P, O>, 'model'> & { readonly index: number; readonly error?: undefined })
  | { readonly index: number; readonly error: RowError; readonly prediction?: undefined };

/**
 * A server. All calls reject with {@link ClientError}, or with the signal's reason where they are aborted.
 * @typeParam P the prediction of the model that is called most
 * @typeParam O its outputs, by name
 */
export interface Client<P = unknown, O = Readonly<Record<string, unknown>>> {
  /**
   * Predicts one row: `POST /predict`.
   * @param features the row without its batch dimension, or an object with a value for each input or feature. Typed arrays and
   * bigints are written as JSON numbers.
   * @example
   * const { prediction, label } = await client.predict<number>([5.1, 3.5, 1.4, 0.2]);
   */
  predict<Q = P, R = O>(features: unknown, options?: CallOptions): Promise<Prediction<Q, R>>;
  /**
   * Predicts any number of rows: `POST /batch_predict`. Gives a result for each row, in order, while rows are still read and sent.
   * Rows are read no faster than the results are taken.
   * @example
   * for await (const row of client.batchPredict<number>([[5.1, 3.5, 1.4, 0.2], [6.7, 3, 5.2, 2.3]])) {
   *   if (row.error === undefined) console.log(row.index, row.prediction);
   *   else console.error(row.index, row.error.message);
   * }
   */
  batchPredict<Q = P, R = O>(rows: Rows, options?: BatchOptions): AsyncGenerator<BatchRow<Q, R>, void, undefined>;
  /**
   * `infer` of the Open Inference Protocol: tensors in and out, with a batch of rows each.
   * @throws TypeError where the data of a tensor does not fit its datatype and shape.
   * @example
   * const { outputs } = await client.infer({
   *   inputs: { features: { datatype: 'FP32', shape: [1, 4], data: Float32Array.of(5.1, 3.5, 1.4, 0.2) } },
   *   outputs: { probabilities: 'FP32' },
   * });
   * outputs.probabilities.data; // a Float32Array
   */
  infer<const C extends OutputChoice = undefined>(
    request: InferRequest<C>,
    options?: InferOptions,
  ): Promise<InferResponse<C>>;
  /**
   * Whether the server takes calls, or one model where it is named. False also where the server can't be reached.
   * @example
   * while (!(await client.ready())) await new Promise((resolve) => setTimeout(resolve, 1000));
   */
  ready(options?: CallOptions): Promise<boolean>;
  /**
   * The inputs and outputs of a model: names, datatypes and shapes.
   * @example
   * const { inputs } = await client.metadata({ model: 'iris' });
   */
  metadata(options?: CallOptions): Promise<ModelMetadata>;
  /**
   * The server's name, its version and the extensions of the protocol that it has.
   * @example
   * const { extensions } = await client.serverMetadata();
   */
  serverMetadata(options?: Pick<CallOptions, 'signal'>): Promise<ServerMetadata>;
}

const JSON_HEADERS = { 'Content-Type': 'application/json' };

/**
 * Makes a client of one server. No request is sent.
 * @throws TypeError that names an option that can't be used.
 * @example
 * const client = createClient<number>({ url: 'https://serving-abc.run.app', token: () => fetchIdentityToken() });
 * const { prediction } = await client.predict([5.1, 3.5, 1.4, 0.2]);
 */
export function createClient<P = unknown, O = Readonly<Record<string, unknown>>>(options: ClientOptions): Client<P, O> {
  const connection = connect(options);
  const addressed = (call: CallOptions = {}) => ({
    model: call.model ?? options.model,
    // A version belongs to its model.
    version: call.version ?? (call.model === undefined ? options.version : undefined),
    signal: call.signal,
  });

  function modelPath(prefix: string, model: string | undefined, version: string | undefined): string {
    if (model === undefined) throw new TypeError('model: expected its name, in the call or in createClient');
    const path = `${prefix}/models/${encodeURIComponent(model)}`;
    return version === undefined ? path : `${path}/versions/${encodeURIComponent(version)}`;
  }

  const nativePath = (model: string | undefined, version: string | undefined): string =>
    model === undefined && version === undefined ? '' : modelPath('', model, version);

  return {
    async predict(features, callOptions) {
      const { model, version, signal } = addressed(callOptions);
      const body = `{"features":${writeJson(features)}}`;
      const path = `${nativePath(model, version)}/predict`;
      return readAnswer(await call(connection, { method: 'POST', path, headers: JSON_HEADERS, body, signal }));
    },
    batchPredict<Q, R>(rows: Rows, batch: BatchOptions = {}) {
      const { model, version, signal } = addressed(batch);
      const path = `${nativePath(model, version)}/batch_predict?batch_size=${positive('batchSize', batch.batchSize ?? 64)}`;
      const maxUnanswered = positive('maxUnanswered', batch.maxUnanswered ?? 4096);
      const duplex = batch.duplex ?? sendsWhileItReads();
      const lines = batchPredict(connection, { path, rows, signal, maxUnanswered, duplex });
      return lines as AsyncGenerator<RowLine, void, undefined> as AsyncGenerator<BatchRow<Q, R>, void, undefined>;
    },
    async infer(request, inferOptions) {
      const { model, version, signal } = addressed(inferOptions);
      const path = `${modelPath('/v2', model, version)}/infer`;
      const { headers, body } = writeInfer(request, inferOptions?.encoding ?? 'binary');
      return readInfer(
        await call(connection, { method: 'POST', path, headers, body, signal }),
        request.outputs as never,
      );
    },
    async ready(callOptions) {
      const { model, version, signal } = addressed(callOptions);
      const path = model === undefined ? '/v2/health/ready' : `${modelPath('/v2', model, version)}/ready`;
      try {
        await call({ ...connection, retries: 0 }, { method: 'GET', path, signal });
        return true;
      } catch (error) {
        if (error instanceof ClientError && (error.code === 'NETWORK' || error.status === 503)) return false;
        throw error;
      }
    },
    async metadata(callOptions) {
      const { model, version, signal } = addressed(callOptions);
      return readAnswer(await call(connection, { method: 'GET', path: modelPath('/v2', model, version), signal }));
    },
    async serverMetadata({ signal } = {}) {
      return readAnswer(await call(connection, { method: 'GET', path: '/v2', signal }));
    },
  };
}

/** The server's word is taken for the type: it is the caller that knows the model. */
const readAnswer = <T>({ bytes }: Answer): T => parseJson(bytes) as T;

function connect({
  url,
  headers = {},
  token,
  retries = 5,
  timeoutMs = 60_000,
  fetch = globalThis.fetch,
}: ClientOptions): Connection {
  const { protocol, href } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw new TypeError(`url: expected http or https, got ${href}`);
  if (!(Number.isInteger(retries) && retries >= 0)) throw new TypeError(`retries: expected 0 or more, got ${retries}`);
  if (!(timeoutMs > 0)) throw new TypeError(`timeoutMs: expected milliseconds, got ${timeoutMs}`);
  return {
    url: href.replace(/\/+$/, ''),
    // Called as a function of its own: browsers refuse it as a method of another object.
    fetch: (target, init) => fetch(target, init),
    retries,
    timeoutMs,
    async headers() {
      const all = new Headers(typeof headers === 'function' ? await headers() : headers);
      const bearer = typeof token === 'function' ? await token() : token;
      if (bearer !== undefined) all.set('Authorization', `Bearer ${bearer}`);
      return all;
    },
  };
}

function positive(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new TypeError(`${name}: expected an integer above 0, got ${value}`);
}
