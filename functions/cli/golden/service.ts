import { setTimeout as sleep } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { errorLine } from '../terminal/error-line.ts';
import { writeJson } from './write-json.ts';

/** A running server of this project, or one model of it, as its callers reach it. */
export interface Service {
  /**
   * Waits until the model behind `/predict` is ready; of a named model, until a row is not answered with 503.
   * @param row a valid row of the model
   * @returns its response
   * @throws ServingError `NOT_READY` with its last response if it is not ready in time; the signal's reason
   */
  waitUntilReady(seconds: number, row: JsonValue | undefined): Promise<ReadyService>;
  /** Predicts one row. @returns its outputs, by name, with all digits. @throws ServingError with the response of a refused one */
  predict(features: JsonValue): Promise<JsonObject>;
  /** The features of the row that the server's OpenAPI document shows. @throws ServingError if it shows none */
  example(): Promise<JsonValue>;
}

/** What a server says of the model that is ready; a caller that may not use it does not learn it. */
export interface ReadyService {
  readonly text: string;
  readonly model: { readonly name: string; readonly version: string } | undefined;
}

interface ServiceOptions {
  /** `https://…`, without a slash at its end. */
  readonly url: string;
  /** One of several models. Default: the model behind `/predict`. */
  readonly model?: string | undefined;
  /** The bearer token of each request. */
  readonly token?: string | undefined;
  readonly signal: AbortSignal;
}

const POLL_MS = 1000;
const ANSWER_MS = 60_000;
/** Characters of a response that are shown. */
const SHOWN = 300;

/** Creates the caller of a server. It sends requests to this address alone, and follows no redirection to another. */
export function createService({ url, model, token, signal }: ServiceOptions): Service {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const path = model === undefined ? '/predict' : `/models/${encodeURIComponent(model)}/predict`;

  async function call(at: string, ms: number, body?: string): Promise<{ status: number; text: string }> {
    const response = await fetch(url + at, {
      headers: body === undefined ? headers : { ...headers, 'Content-Type': 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]),
      ...(body !== undefined && { method: 'POST', body }),
    });
    const { status } = response;
    if (status < 300 || status >= 400) return { status, text: await response.text() };
    return { status, text: `it redirects to ${response.headers.get('location')}: give that address` };
  }

  async function read(at: string, body?: string): Promise<JsonObject> {
    const { status, text } = await call(at, ANSWER_MS, body);
    if (status !== 200) throw failed(`returned ${status}: ${text.slice(0, SHOWN)}`);
    const value = readJson(Buffer.from(text), 0, undefined, Number.POSITIVE_INFINITY);
    if (!isObject(value)) throw failed(`returned what is not an object: ${text.slice(0, SHOWN)}`);
    return value;
  }

  const bodyOf = (features: JsonValue): string => `{"features":${writeJson(features)}}`;

  return {
    async waitUntilReady(seconds, row) {
      const end = performance.now() + seconds * 1000;
      for (;;) {
        const left = Math.max(1, Math.ceil(end - performance.now()));
        const named = model !== undefined && row !== undefined;
        const said = await (named ? call(path, left, bodyOf(row)) : call('/ready', left)).then(
          ({ status, text }) => ({ ok: named ? status !== 503 : status === 200, text: `${status} ${text}` }),
          (error: Error) => ({ ok: false, text: reasonOf(error) }),
        );
        signal.throwIfAborted();
        if (said.ok) return { text: said.text, model: modelIn(said.text.replace(/^\d+ /, '')) };
        if (performance.now() + POLL_MS > end) {
          const shown = said.text.slice(0, SHOWN) + hintFor(said.text);
          throw new ServingError('NOT_READY', `not ready after ${seconds} s: ${shown}`);
        }
        await sleep(POLL_MS, undefined, { signal });
      }
    },
    async predict(features) {
      const { outputs } = await read(path, bodyOf(features));
      if (isObject(outputs)) return outputs;
      throw failed('returned no outputs');
    },
    async example() {
      const described = (await read('/openapi.json'))['x-model'];
      const example = isObject(described) ? described.example : undefined;
      if (isObject(example) && example.features !== undefined) return example.features;
      throw failed('/openapi.json shows no example, because a row is too large: add golden.json to the model');
    },
  };
}

/** Why `fetch` failed: the error of the network behind its own. */
function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return 'no response';
  return errorLine(error) ?? (error.cause instanceof Error ? error.cause : error).message;
}

function modelIn(text: string): ReadyService['model'] {
  try {
    return (JSON.parse(text) as { model?: { name: string; version: string } }).model;
  } catch {
    return undefined;
  }
}

function hintFor(text: string): string {
  if (/^40[13] /.test(text)) return ' (the caller needs roles/run.invoker on the service, and a token for its URL)';
  return '';
}

const failed = (message: string): ServingError => new ServingError('MODEL_FAILED', message);
