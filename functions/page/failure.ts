/** An error with a message for people. `detail` is the server's text, `path` the place in the input. */
export class Failure extends Error {
  readonly detail: string;
  readonly path: string | undefined;
  /** Seconds after which a retry may succeed; undefined if it cannot. */
  readonly retryAfter: number | undefined;

  constructor(message: string, detail = '', path?: string, retryAfter?: number) {
    super(message);
    this.detail = detail;
    this.path = path;
    this.retryAfter = retryAfter;
  }
}

const WORDS: Readonly<Record<string, string>> = {
  INVALID_INPUT: 'The model does not take this input.',
  NOT_FOUND: 'There is no such model.',
  TOO_LARGE: 'This is more than the server takes at once.',
  OVERLOADED: 'The server is busy. Try again in a moment.',
  NOT_READY: 'The model is not ready yet. Try again in a moment.',
  DRAINING: 'This server is shutting down. Try again: another one may take over.',
  DEADLINE: 'The model took too long.',
  REQUEST_TIMEOUT: 'The request took too long to arrive.',
  MODEL_FAILED: 'The model failed on this input.',
  UNAUTHORIZED: 'The server asks for a token.',
};

/** The failure of a response with an error status. */
async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text();
  const after = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(after) ? after : undefined;
  try {
    const { error, code, path } = JSON.parse(text) as { error: string; code: string; path?: string };
    return new Failure(WORDS[code] ?? `The server returned ${response.status}.`, error, path, retryAfter);
  } catch {
    return new Failure(`The server returned ${response.status} ${response.statusText}.`, '', undefined, retryAfter);
  }
}

/** Sends a POST request. @throws Failure for an error status, or if the server cannot be reached; the reason of `signal`. */
export async function send(url: string, type: string, body: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': type },
      body,
      ...(signal !== undefined && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure('The server cannot be reached.', 'Is it running, and are you online?', undefined, 1);
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}
