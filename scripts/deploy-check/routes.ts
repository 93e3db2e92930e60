import { createBatchPredictRoutes } from '../../functions/routes/native/batch-predict.ts';
import { createPredictRoutes } from '../../functions/routes/native/predict.ts';
import { createModelRoutes } from '../../functions/routes/status/models.ts';
import { createProbeRoutes } from '../../functions/routes/status/probes.ts';
import { createTensorFlowServingRoutes } from '../../functions/routes/tensorflow-serving/routes.ts';

export interface Routes {
  /** Paths that a probe may request with GET. */
  readonly probes: ReadonlySet<string>;
  /** All paths; a part in braces is a parameter. */
  readonly all: ReadonlySet<string>;
}

/** The server's routes, created without their dependencies, which are used only by requests. */
export function readRoutes(): Routes {
  const nothing = {} as never;
  const probes = createProbeRoutes(nothing);
  const others = [
    createPredictRoutes,
    createBatchPredictRoutes,
    createModelRoutes,
    createTensorFlowServingRoutes,
  ].flatMap((create) => create(nothing));
  return {
    probes: new Set(probes.filter(({ method }) => method === 'GET').map(({ path }) => path)),
    all: new Set([...probes, ...others].map(({ path }) => path)),
  };
}
