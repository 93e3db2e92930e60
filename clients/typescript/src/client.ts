/**
 * The typed client: a server's predictions over `fetch`, without a dependency. For Node 20 and later, Deno, and browsers: pages of the
 * server's own origin, and of those that its setting `CORS_ORIGINS` names.
 */
import { batchPredict, type RowLine } from './batch-predict.ts';
import { ClientError } from './client-error.ts';
import { type Connection, call, type Fetch, type RawResponse, sendsWhileItReads } from './connection.ts';
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

/** The server, and how it is called. */
export interface ClientOptions {
  /** The server's address: `https://serving-abc.run.app`, with a path if it is behind one. */
  readonly url: string | URL;
  /** The model of calls that name none; `predict` and `batchPredict` need none if the server has a default. */
  readonly model?: string | undefined;
  /** The version of `model`. Default: the one that serves. */
  readonly version?: string | undefined;
  /** Header fields of every request; a function is called at every attempt. */
  readonly headers?: Readonly<Record<string, string>> | (() => Awaitable<Readonly<Record<string, string>>>) | undefined;
  /** For `Authorization: Bearer`, such as the identity token that Cloud Run requires; a function is called at every attempt. */
  readonly token?: string | (() => Awaitable<string>) | undefined;
  /** Repeats of a call that failed with a transient error. @default 5 */
  readonly retries?: number | undefined;
  /** Milliseconds for a call with its repeats, and for the result of a row of `batchPredict`. @default 60_000 */
  readonly timeoutMs?: number | undefined;
  /** @default globalThis.fetch */
  readonly fetch?: Fetch | undefined;
}

type Awaitable<T> = T | Promise<T>;

/** Options of one call. */
export interface CallOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Default: the client's model. */
  readonly model?: string | undefined;
  /** Default: the client's version, unless the call names a model. */
  readonly version?: string | undefined;
}

/** Options of `infer`. */
export interface InferOptions extends CallOptions {
  /** JSON has no form for FP16, and loses digits of 64-bit integers above 2^53. @default 'binary' */
  readonly encoding?: Encoding | undefined;
}

/** Options of `batchPredict`. */
export interface BatchOptions extends CallOptions {
  /** Most rows that the server runs together. @default 64 */
  readonly batchSize?: number | undefined;
  /** Most rows that are read from the source and have no result; they are kept, to be sent again. @default 4096 */
  readonly maxUnanswered?: number | undefined;
  /**
   * Whether one request is sent and read at the same time; otherwise each window of rows is a request, as browsers and some proxies
   * read a body to its end first. @default true in Node and Deno, else false
   */
  readonly duplex?: boolean | undefined;
}

/** A class or label with its score. */
export interface LabelScore {
  readonly label: string;
  /** `"NaN"`, `"Infinity"` and `"-Infinity"` are texts, as in all of the server's JSON. */
  readonly score: number | 'NaN' | 'Infinity' | '-Infinity';
}

/** The prediction of one row. Its numbers are those of JSON: digits of integers above 2^53 are lost; `infer` keeps them. */
export interface Prediction<P, O> {
  /** The row's value of the main output; the label or labels that hold, if `scores` is there. */
  readonly prediction: P;
  /** The name of the predicted class, if model.json or the model has one. */
  readonly label?: string;
  /** The labels with the highest scores, the highest first, if model.json or the model's export says how scores are made. */
  readonly scores?: readonly LabelScore[];
  /** The row's values of all outputs, by name. */
  readonly outputs: O;
  /** The model that predicted. */
  readonly model: { readonly name: string; readonly version: string };
}

/** Why a row has no prediction. */
export interface RowError {
  readonly message: string;
  /** A code of the server's errors: `INVALID_INPUT`. */
  readonly code: string;
  /** The place in the row, as a JavaScript expression: `features[2]`. */
  readonly path?: string;
}

/** The result of a row: a prediction if `error` is undefined. `index` is the index of the row in the source. */
export type BatchRow<P, O> =
  | (Omit<Prediction<P, O>, 'model'> & { readonly index: number; readonly error?: undefined })
  | { readonly index: number; readonly error: RowError; readonly prediction?: undefined };

/**
 * The calls of a server. All reject with {@link ClientError}, or with the signal's reason if they are aborted.
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
   * Predicts any number of rows: `POST /batch_predict`. Yields a result for each row, in order, while rows are read and sent. Rows are
   * read no faster than the results are consumed.
   * @example
   * for await (const row of client.batchPredict<number>([[5.1, 3.5, 1.4, 0.2], [6.7, 3, 5.2, 2.3]])) {
   *   if (row.error === undefined) console.log(row.index, row.prediction);
   *   else console.error(row.index, row.error.message);
   * }
   */
  batchPredict<Q = P, R = O>(rows: Rows, options?: BatchOptions): AsyncGenerator<BatchRow<Q, R>, void, undefined>;
  /**
   * Predicts tensors with a batch of rows each: `infer` of the Open Inference Protocol.
   * @throws TypeError if the data of a tensor does not fit its datatype and shape.
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
   * Whether the server is ready, or, if the call names a model, that model. False also if the server can't be reached.
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
      return readJson(await call(connection, { method: 'POST', path, headers: JSON_HEADERS, body, signal }));
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
      return readJson(await call(connection, { method: 'GET', path: modelPath('/v2', model, version), signal }));
    },
    async serverMetadata({ signal } = {}) {
      return readJson(await call(connection, { method: 'GET', path: '/v2', signal }));
    },
  };
}

/** Reads the JSON of a response. Its type is not checked: the caller knows the model. */
const readJson = <T>({ bytes }: RawResponse): T => parseJson(bytes) as T;

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
    // Not called as a method of this object, which browsers refuse.
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
