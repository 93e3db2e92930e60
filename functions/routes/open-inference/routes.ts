import type { AdminCheck } from '../../http/admin.ts';
import type { Route } from '../../http/router.ts';
import { createInferRoutes, type InferOptions } from './infer.ts';
import { createMetadataRoutes } from './metadata.ts';
import { createRepositoryRoutes } from './repository.ts';
import { createStatisticsRoutes } from './statistics.ts';

export interface OpenInferenceOptions extends InferOptions {
  readonly draining: () => boolean;
  readonly checkAdmin: AdminCheck;
  /** Whether there is a token at all. */
  readonly admin: boolean;
}

/** The Open Inference Protocol v2 over HTTP, with the extensions for binary tensors, the model repository and statistics. */
export function createOpenInferenceRoutes(options: OpenInferenceOptions): Route[] {
  return [
    ...createInferRoutes(options),
    ...createMetadataRoutes(options),
    ...createRepositoryRoutes(options),
    ...createStatisticsRoutes(options),
  ];
}
