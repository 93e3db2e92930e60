import { type JsonObject, readJson } from '../../engine/json-reader.ts';
import { describe } from '../../engine/tensor-fill.ts';
import type { AdminCheck } from '../../http/admin.ts';
import { readBody } from '../../http/body-in.ts';
import { type Exchange, sendJson } from '../../http/exchange.ts';
import type { Route } from '../../http/router.ts';
import type { ModelStatus } from '../../model/model.ts';
import type { ListedModel, Repository } from '../../model/repository.ts';
import { invalid, isObject, readParameters, unsupported } from './members.ts';

export interface RepositoryRouteOptions {
  readonly repository: Repository;
  readonly checkAdmin: AdminCheck;
}

/** What these requests say fits into a few lines. */
const MAX_BYTES = 65_536;

/** The index of the repository, and loading and unloading (Triton, model repository extension). */
export function createRepositoryRoutes({ repository, checkAdmin }: RepositoryRouteOptions): Route[] {
  async function index(exchange: Exchange): Promise<void> {
    const { ready } = await readRequest(exchange);
    if (ready !== undefined && typeof ready !== 'boolean') {
      throw invalid('ready', `ready: expected true or false, got ${describe(ready)}`);
    }
    const entries = (await repository.list()).flatMap(describeModel);
    sendJson(exchange, 200, JSON.stringify(ready ? entries.filter(({ state }) => state === 'READY') : entries));
  }

  async function load(exchange: Exchange): Promise<void> {
    checkAdmin(exchange.req);
    const parameters = readParameters(await readRequest(exchange), '') ?? {};
    for (const name in parameters) {
      // A configuration, or files, in place of those in the repository.
      if (name === 'config' || name.startsWith('file:')) throw unsupported(`parameters.${name.slice(0, 80)}`);
    }
    await repository.load(exchange.params.name!);
    if (!exchange.ticket.gone) sendJson(exchange, 200, '{}');
  }

  async function unload(exchange: Exchange): Promise<void> {
    checkAdmin(exchange.req);
    readParameters(await readRequest(exchange), '');
    await repository.unload(exchange.params.name!);
    if (!exchange.ticket.gone) sendJson(exchange, 200, '{}');
  }

  return [
    { method: 'POST', path: '/v2/repository/index', handle: index },
    { method: 'POST', path: '/v2/repository/models/{name}/load', handle: load },
    { method: 'POST', path: '/v2/repository/models/{name}/unload', handle: unload },
  ];
}

/** No body stands for one that says nothing. */
async function readRequest({ req }: Exchange): Promise<JsonObject> {
  const body = await readBody(req, MAX_BYTES);
  const request = body.length === 0 ? {} : readJson(body);
  if (isObject(request)) return request;
  throw invalid(undefined, `the body: expected an object, or none, got ${describe(request)}`);
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
  return { state: 'UNAVAILABLE', reason: status?.reason ?? 'not loaded: its first request loads it' };
}
