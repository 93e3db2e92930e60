import { setMaxListeners } from 'node:events';
import type { Config } from './config.ts';
import { measureCapacity } from './engine/capacity.ts';
import { releasing } from './http/body-budget.ts';
import { createJsonParser } from './http/json-body.ts';
import { createRouter, type RequestHandler } from './http/router.ts';
import { createModel, type Model } from './model/model.ts';
import { createFileSource } from './model/sources/file.ts';
import { createBatchPredictRoute } from './routes/batch-predict.ts';
import { createPredictRoute } from './routes/predict.ts';
import { createProbeRoutes } from './routes/probes.ts';
import type { Logger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';

export interface App {
  readonly handler: RequestHandler;
  readonly model: Model;
  /** From here on `/ready` and new work are answered with 503, and streams come to their end. */
  drain(): void;
  /** Ends the engine processes. Call it when nothing is in flight. */
  close(): Promise<void>;
}

/** Puts the rooms together: the one handler that both hosts carry. */
export function createApp(config: Config, logger: Logger): App {
  const metrics = createMetrics();
  const draining = new AbortController();
  // One listener for each stream under way.
  setMaxListeners(0, draining.signal);
  const parser = createJsonParser();
  const model = createModel(
    config.MODEL_NAME ?? 'default',
    createFileSource(config.MODEL_URI, config.MODEL_NAME),
    {
      capacity: measureCapacity(),
      processes: config.INFERENCE_PROCESSES,
      intraOpThreads: config.INTRA_OP_THREADS,
      executionProviders: config.EXECUTION_PROVIDERS,
      maxBatchSize: config.MAX_BATCH_SIZE,
      batchDelayMs: config.BATCH_DELAY_MS,
      maxQueueSize: config.MAX_QUEUE_SIZE,
      runTimeoutMs: config.RUN_TIMEOUT_MS,
    },
    { logger, metrics },
  );
  metrics.observe({
    queueDepth: () => [{ model: model.status().name, depth: model.live()?.queueDepth() ?? 0 }],
    engines: () => model.live()?.engines() ?? [],
    models: () => [{ name: model.status().name, state: model.status().state }],
    logDropped: logger.dropped,
  });

  const isDraining = (): boolean => draining.signal.aborted;
  const routes = [
    releasing(createPredictRoute({ model, parser, metrics, maxBodyBytes: config.MAX_BODY_BYTES })),
    releasing(
      createBatchPredictRoute({
        model,
        parser,
        metrics,
        maxBodyBytes: config.MAX_BODY_BYTES,
        maxBatchSize: config.MAX_BATCH_SIZE,
        idleMs: config.REQUEST_TIMEOUT_MS,
        draining: draining.signal,
      }),
    ),
    ...createProbeRoutes({ model, metrics, draining: isDraining }),
  ];
  const handler = createRouter(routes, {
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    logRequests: config.LOG_REQUESTS,
    logger,
    metrics,
    draining: isDraining,
  });
  return {
    handler,
    model,
    drain: () => draining.abort(),
    async close() {
      parser.close();
      metrics.close();
      await model.close();
    },
  };
}
