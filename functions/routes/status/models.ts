import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import { preparationDocument } from '../../model/folder/export/describe.ts';
import type { ListedModel, Repository } from '../../model/repository/repository.ts';
import type { ModelStatus } from '../../model/serving/model.ts';
import { listFor, modelOf } from '../model-address.ts';

/** `GET /models`: the models of the repository; `GET /models/{name}[/versions/{version}]`: the status of a model. */
export function createModelRoutes(repository: Repository): Route[] {
  async function list(context: RequestContext): Promise<void> {
    const models = (await listFor(repository, context)).map(describe);
    sendJson(context, 200, JSON.stringify({ models }));
  }

  async function status(context: RequestContext): Promise<void> {
    const model = await modelOf(repository, context);
    sendJson(context, 200, JSON.stringify(showModel(model.status())));
  }

  return [
    { method: 'GET', path: '/models', handle: list },
    { method: 'GET', path: '/models/{name}', handle: status },
    { method: 'GET', path: '/models/{name}/versions/{version}', handle: status },
  ];
}

function describe({ name, versions }: ListedModel): object {
  return {
    name,
    versions: versions.map(({ number, status }) => ({
      version: number ?? status?.version,
      state: status?.state ?? 'idle',
    })),
  };
}

/** A model's status as `/health` has it: seconds with three decimals, and the bytes of a load in progress. */
export function showStatus({
  seconds,
  fetched,
  refused,
  batching: _,
  preparation: __,
  ...status
}: ModelStatus): object {
  return { ...status, fetched_bytes: fetched, load_seconds: Number(seconds.toFixed(3)), refresh_error: refused };
}

/** A model's status as `/models/{name}` has it: also whether rows share runs, and how its inputs are made from texts or pictures. */
export function showModel(status: ModelStatus): object {
  const { batching, preparation } = status;
  return {
    ...showStatus(status),
    batching: batching && { enabled: batching.enabled, decided_by: batching.decidedBy, reason: batching.reason },
    ...(preparation && { preparation: preparationDocument(preparation) }),
  };
}
