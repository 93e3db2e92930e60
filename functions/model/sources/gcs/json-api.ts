import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { SourceError } from '../source.ts';
import { type Attempted, explain, explainThrown, isWithoutCredentials } from './errors.ts';
import { startStallGuard } from './stall-guard.ts';

/** Where the JSON API is, and how requests to it are authorized. */
export interface Service {
  /** `https://storage.googleapis.com/storage/v1`, or that of an emulator. */
  readonly baseUrl: string;
  /** The headers that authenticate a request for this URL. */
  authorize(url: string): Promise<Headers>;
}

export interface ApiRequest {
  readonly attempted: Attempted;
  /** Below the base URL, from its slash on. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Gets a chunk of a response's body. @returns whether more of it is wanted. */
export type OnChunk = (chunk: Uint8Array) => boolean;

export interface JsonApi {
  /**
   * Sends one GET, and gives its response to `open`, which checks its head and returns what takes its body. On any
   * failure the connection is closed.
   * @throws SourceError as {@link explain} has it for a response other than 200 and 206 and for the network's errors;
   * `transient` after `stallMs` without a byte; the signal's reason as soon as it is aborted; what `open` and the taker throw.
   */
  get(request: ApiRequest, signal: AbortSignal, open: (response: IncomingMessage) => OnChunk): Promise<void>;
  /** Aborts the requests under way, and closes the connections that are kept for later ones. */
  close(): void;
}

const LONGEST_REFUSAL = 4_096;

/** Plain requests to the JSON API of Cloud Storage, by way of the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name. */
export function createJsonApi(load: () => Promise<Service>, stallMs: number): JsonApi {
  const options = { keepAlive: true, proxyEnv: process.env };
  const agents = { http: new http.Agent(options), https: new https.Agent(options) };
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
      // Not by the signal alone: credentials are fetched without one, and are left to who else waits for them.
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
      // A bucket that everybody may read takes none; for any other the response says that they are missing.
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
      .on('data', (chunk: Uint8Array) => {
        // What the parser has read already still comes after both.
        if (response.destroyed || signal.aborted) return;
        try {
          if (!take(chunk)) response.destroy();
        } catch (error) {
          reject(error);
          response.destroy();
        }
        alive();
      })
      .on('error', (error) => reject(explainThrown(attempted, error)))
      .on('close', resolve);
  });
  if (refused) throw explain(attempted, { status, text: refusal, retryAfter: headers['retry-after'] });
}
