import { ServingError } from '../../errors.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Model } from '../../model/serving/model.ts';
import { shorten } from '../../shorten.ts';
import * as addressed from '../model-address.ts';

/** The prefixes of the paths of a route about a model: of the version that serves, and of any version. */
export const MODEL_PATHS = ['/v2/models/{name}', '/v2/models/{name}/versions/{version}'] as const;

type Named = Pick<RequestContext, 'params'>;

/** @see addressed.modelAt @throws ServingError `NOT_FOUND` in Triton's words, `NOT_READY`. */
export const modelAt = (repository: Repository, named: Named): Promise<Model> =>
  addressed.modelAt(repository, named).catch((error: unknown) => {
    throw inTritonsWords(error, named);
  });

/** @see addressed.generationAt @throws ServingError `NOT_FOUND` in Triton's words, `NOT_READY`. */
export const generationAt = (repository: Repository, named: Named): Promise<Generation> =>
  addressed.generationAt(repository, named).catch((error: unknown) => {
    throw inTritonsWords(error, named);
  });

/** @see addressed.describedAt @throws ServingError `NOT_FOUND` in Triton's words, `NOT_READY`. */
export const describedAt = (repository: Repository, named: Named): Promise<Generation> =>
  addressed.describedAt(repository, named).catch((error: unknown) => {
    throw inTritonsWords(error, named);
  });

/**
 * Gives a `NOT_FOUND` error Triton's text, and returns any other error unchanged. Triton's clients compare the start of the message
 * (triton-inference-server/client, simple_http_infer_client.py).
 */
export function inTritonsWords(error: unknown, { params }: Named): unknown {
  if (!(error instanceof ServingError) || error.code !== 'NOT_FOUND') return error;
  return unknownModel(params);
}

/** The error for a model that does not exist, in Triton's words; also for one that the caller may not use. */
export function unknownModel({ name, version }: Named['params']): ServingError {
  const suffix = version === undefined ? '' : ` version ${shorten(version)}`;
  return new ServingError('NOT_FOUND', `Request for unknown model: '${shorten(name!)}'${suffix} is not found`);
}
