import { backoff, isTransient, parseRetryAfter } from './backoff.ts';
import { ClientError } from './client-error.ts';
import { createDeadline } from './timeouts.ts';

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The server that is called, and the limits of a call. */
export interface Connection {
  /** Without a slash at its end. */
  readonly url: string;
  readonly fetch: Fetch;
  /** Header fields of a request. Called at every attempt: a token may have expired since the last. */
  headers(): Promise<Headers>;
  /** Most repeats of a failed call. */
  readonly retries: number;
  /** Milliseconds for a call with its repeats. */
  readonly timeoutMs: number;
}

/** A request of one call. */
export interface Request {
  readonly method: 'GET' | 'POST';
  /** Below the server's address; begins with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<RequestInit['body']>;
  readonly signal: AbortSignal | undefined;
}

/** A response with its body. */
export interface RawResponse {
  readonly headers: Headers;
  readonly bytes: ArrayBuffer;
}

/** Characters of an error's body that are read. */
const ERROR_BYTES = 65_536;
const SHOWN_CHARACTERS = 300;

/**
 * Sends a request and reads its response. Repeats the call after a transient failure.
 * @throws ClientError, or the caller's own reason to abort.
 */
export async function call(connection: Connection, request: Request): Promise<RawResponse> {
  const deadline = createDeadline(request.signal, connection.timeoutMs);
  try {
    for (let retries = 0; ; retries++) {
      const headers = await within(connection.headers(), deadline.signal);
      try {
        const response = await send(connection, request, headers, deadline.signal);
        return { headers: response.headers, bytes: await response.arrayBuffer() };
      } catch (error) {
        const failure = toFailure(error, deadline.signal, connection.url);
        if (!(failure instanceof ClientError) || retries === connection.retries || !isTransient(failure)) throw failure;
        const ms = backoff(retries, failure.retryAfter);
        // No time would be left for a response.
        if (ms >= deadline.left()) throw failure;
        await deadline.wait(ms);
      }
    }
  } finally {
    deadline.end();
  }
}

/** The value of a promise of the caller's functions. @throws the signal's reason, if it is aborted before. */
export function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Sends one request, without repeats. Resolves with a response of a status below 400 when its head has arrived.
 * @param headers of the attempt; those of the request are added.
 * @throws ClientError for an error status; what `fetch` throws.
 */
export async function send(
  connection: Connection,
  { method, path, body, headers: own = {} }: Request,
  headers: Headers,
  signal: AbortSignal,
): Promise<Response> {
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
  // For a body that is a stream; elsewhere it has no effect. Types of the DOM do not have it yet.
  const init = { method, headers, signal, body: body ?? null, duplex: 'half' } as RequestInit;
  const response = await connection.fetch(connection.url + path, init);
  if (response.ok) return response;
  throw await readFailure(response);
}

/** The error that the caller gets: the signal's reason if it is aborted, else a ClientError. @param url the server's */
export function toFailure(error: unknown, signal: AbortSignal, url: string): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ClientError) return error;
  const { message, cause } = error as Error;
  const why = cause instanceof Error && cause.message !== '' ? `${message}: ${cause.message}` : message;
  return new ClientError('NETWORK', why + (possibleCause(url) ?? ''), { cause: error });
}

/** What a browser does not say of a request that failed in a page of another origin. Undefined outside of a page, and in one of the server. */
export function possibleCause(url: string, page: Platform = globalThis as Platform): string | undefined {
  const { origin, protocol } = page.location ?? {};
  const server = new URL(url);
  if (origin === undefined || origin === server.origin) return undefined;
  if (protocol === 'https:' && server.protocol === 'http:')
    return `: a page of ${origin} may not call ${server.origin}, which has no TLS`;
  return `: there is no connection, or ${server.origin} does not allow pages of ${origin}, which its setting CORS_ORIGINS must name`;
}

async function readFailure(response: Response): Promise<ClientError> {
  const { status, headers } = response;
  const text = await readStart(response);
  const { error, code, path, request_id } = parseObject(text);
  const said = typeof error === 'string' ? error : text.trim().slice(0, SHOWN_CHARACTERS);
  return new ClientError(typeof code === 'string' ? code : 'HTTP', said === '' ? `status ${status}` : said, {
    status,
    path: typeof path === 'string' ? path : undefined,
    requestId: headers.get('x-request-id') ?? (typeof request_id === 'string' ? request_id : undefined),
    retryAfter: parseRetryAfter(headers.get('retry-after')),
  });
}

async function readStart(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    while (reader !== undefined && text.length < ERROR_BYTES) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
    await reader?.cancel();
  } catch {
    // The start of the text is enough: it is for people, and the status decides what is done.
  }
  return text;
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The globals by which platforms are recognized. */
interface Platform {
  readonly Deno?: unknown;
  readonly process?: { readonly versions?: { readonly node?: string; readonly bun?: string } };
  /** Of a page or a worker. */
  readonly location?: { readonly origin: string; readonly protocol: string } | undefined;
}

/**
 * Whether `fetch` returns the response while the body is being sent, as in Node and Deno. Browsers and Bun send the complete body first,
 * as the standard requires (whatwg/fetch issue 1254).
 */
export function sendsWhileItReads(platform: Platform = globalThis as Platform): boolean {
  if (platform.Deno !== undefined) return true;
  const versions = platform.process?.versions;
  return versions?.node !== undefined && versions.bun === undefined;
}
