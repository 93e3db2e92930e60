import type { Exchange } from '../http/exchange.ts';
import type { Model } from '../model/model.ts';
import type { Repository } from '../model/repository.ts';

/** Where a route that works on a model stands: for the one behind `/predict`, for any by name, and for one version of it. */
export const MODEL_PATHS = ['', '/models/{name}', '/models/{name}/versions/{version}'] as const;

/** The model that the path names. @throws ServingError `NOT_FOUND`, `NOT_READY`. */
export function modelOf(repository: Repository, { params }: Pick<Exchange, 'params'>): Model | Promise<Model> {
  const { name, version } = params;
  return name === undefined ? repository.main : repository.find(name, version);
}
