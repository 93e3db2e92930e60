import { mayUseMain } from '../../access/caller.ts';
import { ServingError } from '../../errors.ts';
import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Model } from '../../model/serving/model.ts';
import type { TensorSpec } from '../../tensor/tensor.ts';
import { listFor, requireReady } from '../model-address.ts';
import { describedAt, MODEL_PATHS, modelAt } from './addressing.ts';
import { DATATYPES } from './datatype.ts';

/**
 * Name and version in the server metadata. Triton's clients compare the name (triton-inference-server/client,
 * simple_http_health_metadata.py). The version is the first number of that in package.json, as everybody can read it: the exact one
 * would show which faults are not mended. Its build metadata (SemVer, 10) names this server.
 */
export const SERVER = { name: 'triton', version: '0+onnx-cloud-run' } as const;

/** The extensions by Triton's names. Only complete ones are listed. */
const EXTENSIONS = ['binary_tensor_data', 'classification', 'model_configuration', 'statistics'];
/** Extensions that need the admin token: without one they cannot change anything, and are not listed. */
const ADMIN_EXTENSIONS = ['model_repository', 'logging', 'trace'];

/** What the metadata and health routes need. */
interface MetadataOptions {
  readonly repository: Repository;
  /** Whether the server drains: it is not ready then. */
  readonly draining: () => boolean;
  /** Whether there is an admin token: models can be loaded, and settings changed, over HTTP. */
  readonly admin: boolean;
}

/** Server and model metadata, and the liveness and readiness of both (Open Inference Protocol v2, "Health", "Server Metadata", "Model Metadata"). */
export function createMetadataRoutes({ repository, draining, admin }: MetadataOptions): Route[] {
  const extensions = [...EXTENSIONS, ...(admin ? ADMIN_EXTENSIONS : [])];
  const server = JSON.stringify({ ...SERVER, extensions });

  const describeServer = (context: RequestContext): void => sendJson(context, 200, server);
  const live = (context: RequestContext): void => sendJson(context, 200, '{"live":true}');

  function ready(context: RequestContext): void {
    refuseUnready(repository.main, mayUseMain(context.caller, repository.isMain));
    sendJson(context, 200, '{"ready":true,"live":true}');
  }

  async function modelReady(context: RequestContext): Promise<void> {
    refuseUnready(await modelAt(repository, context), true);
    sendJson(context, 200, JSON.stringify({ name: context.params.name, ready: true }));
  }

  /**
   * Also starts a lazy load of the model behind `/predict`, without waiting for it: the probe is repeated. Another model is loaded
   * again if its file has changed, and is not loaded otherwise.
   */
  function refuseUnready(model: Model, isShown: boolean): void {
    if (draining()) throw new ServingError('DRAINING', 'the server is shutting down', { retryAfter: 1 });
    if (model === repository.main || model.live() !== undefined) model.load();
    requireReady(model, isShown);
  }

  async function describeModel(context: RequestContext): Promise<void> {
    const { signature, version } = await describedAt(repository, context);
    const { name } = context.params;
    const { versions } = await repository.describe(name!);
    const metadata = {
      name,
      versions: versions.map(({ number }) => number ?? version),
      platform: 'onnx_onnxv1',
      inputs: signature.inputs.map(describeTensor),
      outputs: signature.outputs.map(describeTensor),
    };
    sendJson(context, 200, JSON.stringify(metadata));
  }

  async function list(context: RequestContext): Promise<void> {
    const models = (await listFor(repository, context)).map(({ name }) => name);
    sendJson(context, 200, JSON.stringify({ models }));
  }

  return [
    { method: 'GET', path: '/v2', handle: describeServer },
    { method: 'GET', path: '/v2/', handle: describeServer },
    { method: 'GET', path: '/v2/health/live', probe: true, open: true, handle: live },
    { method: 'GET', path: '/v2/health/ready', probe: true, open: true, handle: ready },
    { method: 'GET', path: '/v2/models', handle: list },
    ...MODEL_PATHS.flatMap((model): Route[] => [
      { method: 'GET', path: model, handle: describeModel },
      { method: 'GET', path: `${model}/ready`, probe: true, handle: modelReady },
    ]),
  ];
}

/** The protocol has no shape for a tensor of any rank: its shape is empty, like that of a scalar, and a parameter marks it. */
const describeTensor = ({ name, dtype, shape, anyRank }: TensorSpec): object => ({
  name,
  datatype: DATATYPES[dtype],
  shape,
  ...(anyRank && { parameters: { unknown_rank: true } }),
});
