import { mayUse } from '../access/caller.ts';
import { memoryPressure } from '../engine/memory/memory-pressure.ts';
import { ServingError } from '../errors.ts';
import { type BodyBudget, processBudget } from '../http/body/body-budget.ts';
import type { RequestContext } from '../http/request-context.ts';
import type { ListedModel, Repository } from '../model/repository/repository.ts';
import type { Generation } from '../model/serving/generation.ts';
import type { Model, ModelStatus } from '../model/serving/model.ts';

/** The prefixes of the paths of a route about a model: the model behind `/predict`, any model by name, and one version of it. */
const MODEL_PATHS = ['', '/models/{name}', '/models/{name}/versions/{version}'] as const;

/** The paths of a route about a model, with each prefix. `main`: it is that of the model behind `/predict`. */
export const modelPaths = (suffix: string): { readonly path: string; readonly main: boolean }[] =>
  MODEL_PATHS.map((prefix) => ({ path: `${prefix}${suffix}`, main: prefix === '' }));

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
  return (context) =>
    (bodies.used > 0 ? pressure() : undefined) ?? loadedAt(repository, context)?.refuse(context.cancellation);
}

/** The generation of the model that the path names, if it is loaded. */
export const loadedAt = (
  repository: Pick<Repository, 'loaded'>,
  { params: { name, version } }: Named,
): Generation | undefined => repository.loaded(name, version && canonicalVersion(version));

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
 * The generation of the model that the path names, for a prediction: a model that is not loaded is loaded, if requests may load it.
 * Call its `hold` in the same turn of the event loop.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export async function generationAt(repository: Repository, context: Named): Promise<Generation> {
  const model = await modelAt(repository, context);
  return ofVersion(model.live() ?? (await model.whenLive()), context);
}

/**
 * As `generationAt`, to describe the model: only the model behind `/predict` is loaded for it. Anybody may request descriptions, and
 * loading a model may evict another.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export async function describedAt(repository: Repository, context: Named): Promise<Generation> {
  const model = await modelAt(repository, context);
  if (model === repository.main) return ofVersion(model.live() ?? (await model.whenLive()), context);
  const live = model.live();
  if (live === undefined) throw notReady(model);
  return ofVersion(live, context);
}

function ofVersion(live: Generation, { params: { name, version } }: Named): Generation {
  if (version === undefined || canonicalVersion(live.version) === canonicalVersion(version)) return live;
  throw new ServingError('NOT_FOUND', `the model ${name!.slice(0, 80)} has no version ${version.slice(0, 80)}`);
}

/** The models of the repository that the caller may use. @throws ServingError `NOT_READY` */
export async function listFor(
  repository: Repository,
  { caller }: Pick<RequestContext, 'caller'>,
): Promise<readonly ListedModel[]> {
  const models = await repository.list();
  return caller?.models === undefined ? models : models.filter(({ name }) => mayUse(caller, name, repository.isMain));
}

/**
 * The status of a model that is ready.
 * @param isShown whether the caller may use the model.
 * @throws ServingError `NOT_READY`; with the model's state, phase or reason, if the caller may use it.
 */
export function requireReady(model: Model, isShown: boolean): ModelStatus {
  const status = model.status();
  if (status.state === 'ready') return status;
  if (!isShown) throw new ServingError('NOT_READY', 'the model is not ready', { retryAfter: 1 });
  throw notReady(model);
}

function notReady(model: Model): ServingError {
  const { state, phase, reason } = model.status();
  const loads = model.loadsOnRequest() ? 'its first prediction loads it' : 'requests do not load it';
  const now = phase === undefined ? state : `${state}: ${phase}`;
  const what = reason ?? (state === 'idle' ? `not loaded: ${loads}` : now);
  return new ServingError('NOT_READY', `the model is not ready: ${what}`, { retryAfter: 1 });
}
