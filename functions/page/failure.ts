import { credentials, tokenNow } from './session.ts';

/** What is known of a failure beside its message. */
interface FailureParts {
  /** The server's text. */
  readonly detail?: string;
  /** The place in the input. */
  readonly path?: string | undefined;
  /** Seconds after which a retry may succeed; undefined if it cannot. */
  readonly retryAfter?: number | undefined;
  /** The server's code. */
  readonly code?: string;
}

/** An error with a message for people. */
export class Failure extends Error {
  readonly detail: string;
  readonly path: string | undefined;
  readonly retryAfter: number | undefined;
  readonly code: string | undefined;

  constructor(message: string, { detail = '', path, retryAfter, code }: FailureParts = {}) {
    super(message);
    this.detail = detail;
    this.path = path;
    this.retryAfter = retryAfter;
    this.code = code;
  }
}

/** The failure of whatever was thrown. */
export const toFailure = (error: unknown, message: string): Failure =>
  error instanceof Failure ? error : new Failure(message, { detail: (error as Error).message });

const WORDS: Readonly<Record<string, string>> = {
  INVALID_INPUT: 'The model does not take this input.',
  NOT_FOUND: 'There is no such model.',
  TOO_LARGE: 'This is more than the server takes at once.',
  OVERLOADED: 'The server is busy. Try again in a moment.',
  QUOTA_EXCEEDED: 'The quota of this token is used up. Try again in a moment.',
  NOT_READY: 'The model is not ready yet. Try again in a moment.',
  DRAINING: 'This server is shutting down. Try again: another one may take over.',
  DEADLINE: 'The model took too long.',
  REQUEST_TIMEOUT: 'The request took too long to arrive.',
  MODEL_FAILED: 'The model failed on this input.',
  UNAUTHORIZED: 'The server asks for a token.',
  FORBIDDEN: 'The token lacks the right to this.',
};

/** The error of a row of `/batch_predict`. */
export interface RowError {
  readonly message: string;
  readonly code: string;
  readonly path?: string;
}

/** The failure of a row of `/batch_predict`. */
export const failureFrom = ({ message, code, path }: RowError): Failure =>
  new Failure(WORDS[code] ?? 'The prediction failed.', { detail: message, path, code });

/** The failure of a response with an error status. */
async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text();
  const after = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(after) ? after : undefined;
  try {
    const { error, code, path } = JSON.parse(text) as { error: string; code: string; path?: string };
    const message = WORDS[code] ?? `The server returned ${response.status}.`;
    return new Failure(message, { detail: error, path, retryAfter, code });
  } catch {
    return new Failure(`The server returned ${response.status} ${response.statusText}.`, { retryAfter });
  }
}

let refused: (hadToken: boolean) => void = () => {};
/** Sets what is called when the server asks for a token. */
export const onRefused = (listener: (hadToken: boolean) => void): void => {
  refused = listener;
};

/** Sends a request with the token. @throws Failure for an error status, or if the server cannot be reached; the reason of `signal`. */
async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  const headers = { ...(init.headers as Record<string, string>), ...credentials() };
  try {
    response = await fetch(url, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Failure('The server cannot be reached.', { detail: 'Is it running, and are you online?', retryAfter: 1 });
  }
  if (response.status === 401) refused(tokenNow() !== '');
  if (!response.ok) throw await failureOf(response);
  return response;
}

/** Sends a GET request. @throws as `send`. */
export const get = (url: string): Promise<Response> => request(url, {});

/** Sends a POST request. @throws Failure for an error status, or if the server cannot be reached; the reason of `signal`. */
export const send = (url: string, type: string, body: string | Blob, signal?: AbortSignal): Promise<Response> =>
  request(url, { method: 'POST', headers: { 'Content-Type': type }, body, ...(signal !== undefined && { signal }) });
