import { ServingError } from '../../../errors.ts';
import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';
import type { ListedModel, Repository } from '../../../model/repository/repository.ts';
import type { ModelStatus } from '../../../model/serving/model.ts';
import { shorten } from '../../../shorten.ts';
import { describe } from '../../../tensor/fill.ts';
import { listFor } from '../../model-address.ts';
import { inTritonsWords } from '../addressing.ts';
import { invalid, readParameters } from '../members.ts';
import { readShortBody, SHORT_BODY } from '../short-body.ts';

/** The routes of the repository's index, and of loading and unloading, which need the admin token (Triton, model repository extension). */
export function createRepositoryRoutes(repository: Repository): Route[] {
  async function index(context: RequestContext, body: Buffer): Promise<void> {
    const { ready } = readShortBody(body);
    if (ready !== undefined && typeof ready !== 'boolean') {
      throw invalid('ready', `ready: expected true or false, got ${describe(ready)}`);
    }
    const entries = (await listFor(repository, context)).flatMap(describeModel);
    sendJson(context, 200, JSON.stringify(ready ? entries.filter(({ state }) => state === 'READY') : entries));
  }

  async function load(context: RequestContext, body: Buffer): Promise<void> {
    const parameters = readParameters(readShortBody(body), '') ?? {};
    for (const name in parameters) {
      // A configuration or files that replace those in the repository.
      if (name === 'config' || name.startsWith('file:')) {
        const path = `parameters.${shorten(name)}`;
        const message = `${path}: this server loads what is in the repository: change model.json there, and load the model again`;
        throw failedToLoad(context, new ServingError('UNSUPPORTED', message, { path }));
      }
    }
    await repository.load(context.params.name!).catch((error: unknown) => {
      throw failedToLoad(context, error);
    });
    if (!context.cancellation.cancelled) sendJson(context, 200, '{}');
  }

  async function unload(context: RequestContext, body: Buffer): Promise<void> {
    readParameters(readShortBody(body), '');
    await repository.unload(context.params.name!).catch((error: unknown) => {
      throw inTritonsWords(error, context);
    });
    if (!context.cancellation.cancelled) sendJson(context, 200, '{}');
  }

  return [
    { method: 'POST', path: '/v2/repository/index', body: SHORT_BODY, handle: index },
    { method: 'POST', path: '/v2/repository/models/{name}/load', admin: true, body: SHORT_BODY, handle: load },
    { method: 'POST', path: '/v2/repository/models/{name}/unload', admin: true, body: SHORT_BODY, handle: unload },
  ];
}

/** The error with the text before it that Triton's clients expect (triton-inference-server/client, simple_http_model_control.py). */
function failedToLoad({ params }: Pick<RequestContext, 'params'>, error: unknown): unknown {
  if (!(error instanceof ServingError)) return error;
  const { code, message, path, retryAfter } = error;
  const why = code === 'NOT_FOUND' ? `failed to poll from model repository: ${message}` : message;
  return new ServingError(code, `failed to load '${shorten(params.name!)}', ${why}`, {
    cause: error,
    ...(path !== undefined && { path }),
    ...(retryAfter !== undefined && { retryAfter }),
  });
}

interface IndexEntry {
  readonly name: string;
  readonly version: string | undefined;
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE';
  readonly reason: string;
}

function describeModel({ name, unloaded, versions }: ListedModel): IndexEntry[] {
  return versions.map(({ number, status }) => ({
    name,
    version: number ?? status?.version,
    ...(unloaded ? { state: 'UNAVAILABLE', reason: 'unloaded' } : stateOf(status)),
  }));
}

function stateOf(status: ModelStatus | undefined): Pick<IndexEntry, 'state' | 'reason'> {
  if (status?.state === 'ready') return { state: 'READY', reason: '' };
  if (status?.state === 'loading') return { state: 'LOADING', reason: status.phase ?? '' };
  return { state: 'UNAVAILABLE', reason: status?.reason ?? 'not loaded' };
}
