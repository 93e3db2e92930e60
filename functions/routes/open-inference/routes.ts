import type { Route } from '../../http/router.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import { unknownModel } from './addressing.ts';
import { createInferRoutes, type InferOptions } from './infer.ts';
import { createMetadataRoutes } from './metadata.ts';
import { createLogSettingsRoutes } from './triton/log-settings.ts';
import { createModelConfigRoutes, type ModelConfigOptions } from './triton/model-config.ts';
import { createRepositoryRoutes } from './triton/repository.ts';
import { createSharedMemoryRoutes } from './triton/shared-memory.ts';
import { createStatisticsRoutes } from './triton/statistics.ts';
import { createTraceSettingsRoutes } from './triton/trace-settings.ts';
import { createTracer } from './triton/tracer.ts';

/** What the routes of the Open Inference Protocol need. */
interface OpenInferenceOptions extends Omit<InferOptions, 'tracer'>, ModelConfigOptions {
  /** Whether the server drains: it is not ready then. */
  readonly draining: () => boolean;
  /** Whether there is an admin token. */
  readonly admin: boolean;
  readonly logger: Logger;
}

/**
 * The Open Inference Protocol v2 over HTTP, with Triton's extensions for binary tensors, classification, model configuration,
 * statistics, the model repository, log and trace settings; of shared memory, only the requests that list and unregister regions.
 */
export function createOpenInferenceRoutes(options: OpenInferenceOptions): Route[] {
  const tracer = createTracer(options.logger);
  const routes = [
    ...createInferRoutes({ ...options, tracer }),
    ...createMetadataRoutes(options),
    ...createModelConfigRoutes(options),
    ...createRepositoryRoutes(options.repository),
    ...createStatisticsRoutes(options),
    ...createLogSettingsRoutes(options),
    ...createTraceSettingsRoutes({ ...options, tracer }),
    ...createSharedMemoryRoutes(),
  ];
  return routes.map((route) => ({ ...route, unknownModel }));
}
