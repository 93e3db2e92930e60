import { memoryPressure } from '../engine/memory-pressure.ts';
import { ServingError } from '../errors.ts';
import { type BodyBudget, processBudget } from '../http/body/body-budget.ts';
import type { RequestContext } from '../http/request-context.ts';
import type { Repository } from '../model/repository/repository.ts';
import type { Generation } from '../model/serving/generation.ts';
import type { Model } from '../model/serving/model.ts';

/** The prefixes of the paths of a route about a model: the model behind `/predict`, any model by name, and one version of it. */
export const MODEL_PATHS = ['', '/models/{name}', '/models/{name}/versions/{version}'] as const;

/**
 * Makes the `admit` of routes that predict: it asks the queue of the model that the path names. A model that is not loaded has no
 * queue, and admits. While memory is short, a request is admitted only if no other one has a body in memory: so that requests are
 * answered, one at a time, even if the model itself takes nearly all of the memory.
 */
export function createAdmit(
  repository: Pick<Repository, 'loaded'>,
  pressure = memoryPressure,
  bodies: Pick<BodyBudget, 'used'> = processBudget,
): (context: RequestContext) => ServingError | undefined {
  return ({ params: { name, version }, cancellation }) =>
    (bodies.used > 0 ? pressure() : undefined) ??
    repository.loaded(name, version && canonicalVersion(version))?.refuse(cancellation);
}

type Named = Pick<RequestContext, 'params'>;

/** The form of the number of a version folder, as the repository reads it. */
const NUMBER = /^\d{1,18}$/;

/** A version as the repository names it: numbers have no leading zeros, so `007` is `7`; any other text is as it was written. */
export const canonicalVersion = (version: string): string =>
  NUMBER.test(version) ? BigInt(version).toString() : version;

/** The model that the path names, or the one behind `/predict`. @throws ServingError `NOT_FOUND`, `NOT_READY`. */
export function modelOf(repository: Repository, { params }: Named): Model | Promise<Model> {
  const { name, version } = params;
  return name === undefined ? repository.main : find(repository, name, version, false);
}

/**
 * The model that the path names, of the version that it names. The version of a model without version folders is in its files:
 * while it is not loaded, it is found by any version.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export const modelAt = (repository: Repository, { params }: Named): Promise<Model> =>
  find(repository, params.name!, params.version, true);

/** @param unloaded whether a model without version folders is found by any version while it is not loaded. */
async function find(
  repository: Repository,
  name: string,
  version: string | undefined,
  unloaded: boolean,
): Promise<Model> {
  if (version === undefined) return repository.find(name);
  const number = canonicalVersion(version);
  try {
    return await repository.find(name, number);
  } catch (error) {
    const model = isUnknown(error) ? await repository.find(name) : undefined;
    if (model === undefined || (await hasNumbers(repository, name))) throw error;
    const serving = model.live()?.version;
    const isThis = serving === undefined ? unloaded : canonicalVersion(serving) === number;
    if (isThis) return model;
    throw error;
  }
}

const isUnknown = (error: unknown): boolean => error instanceof ServingError && error.code === 'NOT_FOUND';

async function hasNumbers(repository: Repository, name: string): Promise<boolean> {
  const { versions } = await repository.describe(name);
  return versions.some(({ number }) => number !== undefined);
}

/**
 * The loaded generation of the model that the path names. Call its `hold` in the same turn of the event loop.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export async function generationAt(repository: Repository, context: Named): Promise<Generation> {
  const model = await modelAt(repository, context);
  const live = model.live() ?? (await model.whenLive());
  const { name, version } = context.params;
  if (version === undefined || canonicalVersion(live.version) === canonicalVersion(version)) return live;
  throw new ServingError('NOT_FOUND', `the model ${name!.slice(0, 80)} has no version ${version.slice(0, 80)}`);
}
