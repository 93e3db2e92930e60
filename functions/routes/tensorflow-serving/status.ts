import type { Repository } from '../../model/repository/repository.ts';
import type { ModelStatus } from '../../model/serving/model.ts';
import { canonicalVersion, modelAt } from '../model-address.ts';

/** `ModelVersionStatus.State` (tensorflow_serving/apis/get_model_status.proto). */
const STATES = {
  idle: 'START',
  loading: 'LOADING',
  ready: 'AVAILABLE',
  // Its engine processes end repeatedly, and are being replaced.
  degraded: 'LOADING',
  failed: 'END',
} as const;

/**
 * The states of a model's versions as a `GetModelStatusResponse` in JSON (tensorflow_serving/apis/get_model_status.proto). Without
 * a version, the response also has the members of KServe's v1 protocol at the same path: the `name` in the request, and whether
 * the model is `ready`.
 * @throws ServingError `NOT_FOUND`, `NOT_READY`.
 */
export async function showStatus(repository: Repository, name: string, version?: string): Promise<object> {
  if (version !== undefined) {
    const model = await modelAt(repository, { params: { name, version } });
    return { model_version_status: [showVersion(canonicalVersion(version), model.status())] };
  }
  const model = await repository.find(name);
  const known = await repository.describe(name);
  const versions = known.versions.map((one) =>
    showVersion(one.number ?? model.status().version ?? '1', one.status, known.unloaded),
  );
  return { name, ready: model.status().state === 'ready' && !known.unloaded, model_version_status: versions };
}

function showVersion(version: string, status: ModelStatus | undefined, unloaded = false): object {
  const { state, reason } = status ?? { state: 'idle', reason: undefined };
  const error =
    state === 'failed' || state === 'degraded'
      ? { error_code: state === 'failed' ? 'INTERNAL' : 'UNAVAILABLE', error_message: reason ?? '' }
      : { error_code: 'OK', error_message: '' };
  return { version, state: unloaded ? 'END' : STATES[state], status: error };
}
