import { ServingError } from '../../errors.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { Generation } from '../../model/generation.ts';
import type { Model } from '../../model/model.ts';
import type { Repository } from '../../model/repository.ts';

/** Where a route about a model stands: for its version that serves, and for any. */
export const MODEL_PATHS = ['/v2/models/{name}', '/v2/models/{name}/versions/{version}'] as const;

type Named = Pick<Exchange, 'params'>;

/**
 * The model that the path names, and the version. A model without version folders has its version in its files: while it is
 * not loaded, any version may be it.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export async function modelAt(repository: Repository, { params }: Named): Promise<Model> {
  const { name, version } = params;
  try {
    return await repository.find(name!, version);
  } catch (error) {
    const unknown = error instanceof ServingError && error.code === 'NOT_FOUND' && version !== undefined;
    const model = unknown ? await repository.find(name!) : undefined;
    if (model === undefined || model.live() !== undefined || (await hasNumbers(repository, name!))) throw error;
    return model;
  }
}

async function hasNumbers(repository: Repository, name: string): Promise<boolean> {
  const listed = (await repository.list()).find((one) => one.name === name);
  return listed === undefined || listed.versions.some(({ number }) => number !== undefined);
}

/**
 * The model of the path, loaded. Hold it in the same turn of the event loop.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export async function generationAt(repository: Repository, exchange: Named): Promise<Generation> {
  const model = await modelAt(repository, exchange);
  const live = model.live() ?? (await model.whenLive());
  const { name, version } = exchange.params;
  if (version === undefined || live.version === version) return live;
  throw new ServingError('NOT_FOUND', `the model ${name!.slice(0, 80)} has no version ${version.slice(0, 80)}`);
}
