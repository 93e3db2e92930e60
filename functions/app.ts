import { setMaxListeners } from 'node:events';
import type { Config } from './config/settings.ts';
import { measureCapacity } from './engine/capacity.ts';
import type { EngineView } from './engine/pool.ts';
import { createAuthorization } from './http/admin-token.ts';
import { inTurn } from './http/connection/turns.ts';
import { createRouter, type RequestHandler, type Route } from './http/router.ts';
import { createStore, type ModelStore } from './model/fetch/store.ts';
import { createRefresher } from './model/repository/refresher.ts';
import { createRepository } from './model/repository/repository.ts';
import type { Generation } from './model/serving/generation.ts';
import type { Model } from './model/serving/model.ts';
import { createBodyReader } from './routes/body-reader.ts';
import { createBatchPredictRoutes } from './routes/native/batch-predict.ts';
import { createPredictRoutes } from './routes/native/predict.ts';
import { createOpenInferenceRoutes } from './routes/open-inference/routes.ts';
import { createOpenApiRoutes } from './routes/openapi/route.ts';
import { createPageRoutes } from './routes/pages/page.ts';
import { createModelRoutes } from './routes/status/models.ts';
import { createProbeRoutes } from './routes/status/probes.ts';
import { createTensorFlowServingRoutes } from './routes/tensorflow-serving/routes.ts';
import { createVertexRoutes } from './routes/vertex/routes.ts';
import type { Logger } from './telemetry/log/logger.ts';
import { createMetrics, type Metrics } from './telemetry/metrics/metrics.ts';

export interface App {
  readonly handler: RequestHandler;
  readonly model: Model;
  readonly metrics: Pick<Metrics, 'connectionClosed'>;
  /** What the handler answers. */
  readonly routes: readonly Route[];
  /** From here on `/ready` and new work are answered with 503, and streams come to their end. */
  drain(): void;
  /** Ends the engine processes. Call it when nothing is in flight. */
  close(): Promise<void>;
}

// This file knows all rooms: what reads bodies for every dialect in a thread is told where that thread's file is.
const source = import.meta.url.endsWith('.ts');
const BODY_THREAD = new URL(source ? './routes/body-thread.ts' : './json-thread.js', import.meta.url);

/** Puts the rooms together: the one handler that both hosts carry. */
export function createApp(config: Config, logger: Logger): App {
  const metrics = createMetrics();
  const draining = new AbortController();
  // One listener for each stream under way.
  setMaxListeners(0, draining.signal);
  const capacity = measureCapacity();
  const parser = createBodyReader(BODY_THREAD, capacity);
  const onCloudRun = config.K_SERVICE !== undefined;
  const repository = createRepository({
    store: openStore(config, onCloudRun, logger, metrics),
    name: config.MODEL_NAME,
    sha256: config.MODEL_SHA256,
    memoryBudget: config.MODEL_MEMORY_BUDGET,
    refreshes: config.MODEL_REFRESH_SECONDS > 0,
    engine: {
      capacity,
      processes: config.INFERENCE_PROCESSES,
      intraOpThreads: config.INTRA_OP_THREADS,
      executionProviders: config.EXECUTION_PROVIDERS,
      maxBatchSize: config.MAX_BATCH_SIZE,
      batchDelayMs: config.BATCH_DELAY_MS,
      maxQueueSize: config.MAX_QUEUE_SIZE,
      runTimeoutMs: config.RUN_TIMEOUT_MS,
    },
    telemetry: { logger, metrics },
  });
  const model = repository.main;
  const refresher = createRefresher(repository.refresh, config.MODEL_REFRESH_SECONDS * 1000, onCloudRun);
  metrics.observe({
    queueDepth: () =>
      repository.known().map((one) => ({ model: one.status().name, depth: one.live()?.queueDepth() ?? 0 })),
    engines: () => repository.known().flatMap((one) => enginesOf(one.live())),
    models: () => repository.known().map((one) => one.status()),
    modelMemory: repository.memoryBytes,
    logDropped: logger.dropped,
  });

  const isDraining = (): boolean => draining.signal.aborted;
  const served: Route[] = [
    ...createPredictRoutes({ repository, parser, metrics, maxBodyBytes: config.MAX_BODY_BYTES }),
    ...createBatchPredictRoutes({
      repository,
      parser,
      metrics,
      maxBodyBytes: config.MAX_BODY_BYTES,
      maxBatchSize: config.MAX_BATCH_SIZE,
      idleMs: config.REQUEST_TIMEOUT_MS,
      draining: draining.signal,
    }),
    ...createModelRoutes(repository),
    ...createOpenInferenceRoutes({
      repository,
      parser,
      metrics,
      maxBodyBytes: config.MAX_BODY_BYTES,
      draining: isDraining,
      admin: config.ADMIN_TOKEN_FILE !== undefined,
      maxBatchSize: config.MAX_BATCH_SIZE,
      batchDelayMs: config.BATCH_DELAY_MS,
      onGpu: config.EXECUTION_PROVIDERS.some((provider) => provider !== 'cpu'),
      logger,
    }),
    ...createTensorFlowServingRoutes({ repository, parser, metrics, maxBodyBytes: config.MAX_BODY_BYTES }),
    ...createProbeRoutes({ model, metrics, draining: isDraining }),
    // Last: they go before what has the same path.
    ...createVertexRoutes({
      repository,
      parser,
      metrics,
      maxBodyBytes: config.MAX_BODY_BYTES,
      draining: isDraining,
      predictRoute: config.AIP_PREDICT_ROUTE,
      healthRoute: config.AIP_HEALTH_ROUTE,
      endpointId: config.AIP_ENDPOINT_ID,
      deployedModelId: config.AIP_DEPLOYED_MODEL_ID,
    }),
  ];
  const pages = config.PAGE === 'on' ? createPageRoutes() : [];
  // Pages first: what Vertex AI asks for at the same path goes before them.
  const routes = [...pages, ...served, ...createOpenApiRoutes(model, served)];
  const router = createRouter(routes, {
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    logRequests: config.LOG_REQUESTS,
    logger,
    metrics,
    draining: isDraining,
    authorize: createAuthorization(config.ADMIN_TOKEN_FILE),
  });
  const handler = inTurn(router);
  return {
    handler: refresher.ridesOnRequests
      ? (req, res) => {
          refresher.onRequest();
          handler(req, res);
        }
      : handler,
    model,
    metrics,
    routes,
    drain: () => draining.abort(),
    async close() {
      refresher.close();
      parser.close();
      metrics.close();
      await repository.close();
    },
  };
}

function openStore(config: Config, filesAreMemory: boolean, logger: Logger, metrics: Metrics): ModelStore {
  const cache =
    config.REDIS_URL === undefined
      ? undefined
      : { url: config.REDIS_URL, ttlSeconds: config.REDIS_TTL_SECONDS, maxBytes: config.REDIS_MAX_BYTES };
  if (cache !== undefined && !config.MODEL_URI.startsWith('gs://')) {
    logger.info('REDIS_URL is not used: the models are local files', {});
  }
  return createStore(
    { uri: config.MODEL_URI, file: config.MODEL_FILE, cache, filesAreMemory },
    {
      onRetry(message, waitMs, background) {
        metrics.fetchRetried();
        // A refresh repeats its reads for as long as the bucket is unreachable: the refresh itself logs one warning.
        const log = background ? logger.debug : logger.warning;
        log(`the bucket is read again${waitMs > 0 ? ` in ${Math.round(waitMs)} ms` : ''}: ${message}`, {});
      },
      onCache(event) {
        metrics.cacheEvent(event.kind);
        if (event.kind === 'fault') logger.warning(`Redis is not used: ${event.reason}`, {});
        else if (event.kind === 'garbage')
          logger.warning('ignored a value in Redis that this server did not write', {});
      },
    },
  );
}

const enginesOf = (live: Generation | undefined): (EngineView & { model: string; version: string })[] =>
  live?.engines().map((engine) => ({ ...engine, model: live.name, version: live.version })) ?? [];
