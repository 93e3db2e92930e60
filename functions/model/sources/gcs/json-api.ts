import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { SourceError } from '../source.ts';
import { createAgents } from './agents.ts';
import { type Attempted, explain, explainThrown, isWithoutCredentials } from './errors.ts';
import { startStallGuard } from './stall-guard.ts';

/** The address of the JSON API, and the authorization of requests to it. */
export interface Service {
  /** `https://storage.googleapis.com/storage/v1`, or that of an emulator. */
  readonly baseUrl: string;
  /** The headers that authenticate a request for this URL. */
  authorize(url: string): Promise<Headers>;
}

/** A GET request to the JSON API. */
export interface ApiRequest {
  readonly attempted: Attempted;
  /** The path below the base URL, with a leading slash. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Receives a chunk of a response's body, valid only during the call. @returns whether to continue; if not, the response is closed. */
type OnChunk = (chunk: Uint8Array) => boolean;

/** Requests to the JSON API of Cloud Storage: https://cloud.google.com/storage/docs/json_api */
export interface JsonApi {
  /**
   * Sends one GET, and passes its response to `open`, which checks its headers and returns the receiver of its body. On any failure
   * the connection is closed.
   * @throws SourceError of {@link explain} for a status other than 200 and 206 and for errors of the network; `transient` after
   * `stallMs` without a byte; the signal's reason as soon as it is aborted; the errors of `open` and of the receiver
   */
  get(request: ApiRequest, signal: AbortSignal, open: (response: IncomingMessage) => OnChunk): Promise<void>;
  /** Aborts the requests under way, and closes the idle connections. */
  close(): void;
}

const LONGEST_REFUSAL = 4_096;

/**
 * Creates a client of the JSON API. It uses the proxy of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
 * @param load loads the service at the first request
 * @param stallMs the longest time without a byte
 */
export function createJsonApi(load: () => Promise<Service>, stallMs: number): JsonApi {
  const agents = createAgents(process.env);
  const underWay = new Map<AbortController, string>();

  async function get(
    request: ApiRequest,
    signal: AbortSignal,
    open: (response: IncomingMessage) => OnChunk,
  ): Promise<void> {
    signal.throwIfAborted();
    const { place } = request.attempted;
    const stop = new AbortController();
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const abort = (): void => stop.abort(signal.reason);
    const stall = (): void => stop.abort(new SourceError('transient', `${place}: no byte for ${stallMs / 1_000} s`));
    const guard = startStallGuard(stallMs, stall);
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
    signal.addEventListener('abort', abort, { once: true });
    underWay.set(stop, place);
    try {
      // The signal alone is not enough: credentials are fetched without it, and other requests may wait for the same ones.
      await Promise.race([send(request, stop.signal, open, guard.alive), stopped]);
    } catch (error) {
      stop.abort(error);
      throw error;
    } finally {
      guard.stop();
      signal.removeEventListener('abort', abort);
      underWay.delete(stop);
    }
  }

  async function send(
    { attempted, path, query, headers }: ApiRequest,
    signal: AbortSignal,
    open: (response: IncomingMessage) => OnChunk,
    alive: () => void,
  ): Promise<void> {
    const { baseUrl, authorize } = await load();
    const url = `${baseUrl.replace(/\/+$/, '')}${path}?${new URLSearchParams(query)}`;
    const credentials = await authorize(url).catch((error: unknown) => {
      // A public bucket needs no credentials; for any other the response says that they are missing.
      if (isWithoutCredentials(error)) return new Headers();
      throw explainThrown(attempted, error);
    });
    signal.throwIfAborted();
    const secure = url.startsWith('https:');
    const init = {
      agent: secure ? agents.https : agents.http,
      headers: { ...headers, ...Object.fromEntries(credentials) },
      signal,
    };
    await new Promise<void>((resolve, reject) => {
      (secure ? https : http)
        .get(url, init, (response) => {
          alive();
          receive(response, attempted, signal, open, alive).then(resolve, reject);
        })
        .on('error', (error) => reject(explainThrown(attempted, error)));
    });
  }

  function close(): void {
    for (const [stop, place] of underWay) stop.abort(new SourceError('transient', `${place}: the source was closed`));
    agents.http.destroy();
    agents.https.destroy();
  }

  return { get, close };
}

async function receive(
  response: IncomingMessage,
  attempted: Attempted,
  signal: AbortSignal,
  open: (response: IncomingMessage) => OnChunk,
  alive: () => void,
): Promise<void> {
  const { statusCode: status, headers } = response;
  let refusal = '';
  const readRefusal: OnChunk = (chunk) => {
    refusal += Buffer.from(chunk).toString();
    return refusal.length < LONGEST_REFUSAL;
  };
  const refused = status !== 200 && status !== 206;
  const take = refused ? readRefusal : open(response);
  await new Promise<void>((resolve, reject) => {
    response
      .on('data', (chunk: Uint8Array<ArrayBuffer>) => {
        // After either, the parser still delivers the bytes that it has read.
        if (response.destroyed || signal.aborted) return;
        try {
          if (!take(chunk)) response.destroy();
        } catch (error) {
          reject(error);
          response.destroy();
        }
        release(chunk);
        alive();
      })
      .on('error', (error) => reject(explainThrown(attempted, error)))
      .on('close', resolve);
  });
  if (refused) throw explain(attempted, { status, text: refusal, retryAfter: headers['retry-after'] });
}

/**
 * Frees the memory of a chunk, which the next one then uses while it is in the processor's cache. V8 would free it after tens of
 * megabytes of chunks. A chunk that shares its memory with others is left to V8.
 */
function release({ buffer, byteLength }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength === byteLength) buffer.transfer(0);
}
