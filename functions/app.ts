import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Authenticate } from './access/access.ts';
import { isOpened } from './access/open-routes.ts';
import { type Config, mayCompile } from './config/settings.ts';
import { measureCapacity } from './engine/capacity.ts';
import { createCgroupReader } from './engine/memory/cgroup-memory.ts';
import { createMemoryWatch, type MemoryWatch } from './engine/memory/memory-watch.ts';
import type { EngineView } from './engine/pool.ts';
import { type CallerRules, createAuthorization } from './http/authorization.ts';
import { createRefusalPace } from './http/connection/refusal-pace.ts';
import { createResponseFields } from './http/response-fields.ts';
import { createRouter, type RequestHandler, type Route } from './http/router.ts';
import { type CompiledModels, createCompiledModels } from './model/compiled/compiled-models.ts';
import { createStore, type ModelStore } from './model/fetch/store.ts';
import { createRefresher } from './model/repository/refresher.ts';
import { createRepository, type Repository } from './model/repository/repository.ts';
import { defaultBatchTokens, type Generation } from './model/serving/generation.ts';
import type { Model } from './model/serving/model.ts';
import { createPictureTurns } from './preprocess/picture-turns.ts';
import { planPictures } from './preprocess/process/picture-order.ts';
import { type BodyReader, createBodyReader } from './routes/body-reader.ts';
import { createBatchPredictRoutes } from './routes/native/batch-predict.ts';
import { createPredictRoutes } from './routes/native/predict.ts';
import { createOpenInferenceRoutes } from './routes/open-inference/routes.ts';
import { createOpenAiRoutes } from './routes/openai/routes.ts';
import type { IsOpen } from './routes/openapi/document.ts';
import { createOpenApiRoutes } from './routes/openapi/route.ts';
import { createExampleRoutes } from './routes/pages/examples.ts';
import { createPageRoutes } from './routes/pages/page.ts';
import { createModelRoutes } from './routes/status/models.ts';
import { createProbeRoutes } from './routes/status/probes.ts';
import { createTensorFlowServingRoutes } from './routes/tensorflow-serving/routes.ts';
import { createPredictTexts, createTextEmbeddingsRoutes } from './routes/text-embeddings/routes.ts';
import { createVertexRoutes } from './routes/vertex/routes.ts';
import type { Logger } from './telemetry/log/logger.ts';
import { createMetrics, type Metrics } from './telemetry/metrics/metrics.ts';

/** The server without a listening socket: what a host needs of it. */
export interface App {
  readonly handler: RequestHandler;
  /** Handles the requests of `ADMIN_PORT`; undefined if it is not set. */
  readonly adminHandler: RequestHandler | undefined;
  /** The model behind `/predict`. */
  readonly model: Model;
  readonly metrics: Pick<Metrics, 'connectionClosed'>;
  /** The routes of both handlers. */
  readonly routes: readonly Route[];
  /** From now on `/ready` and new requests get 503, and streams are ended. */
  drain(): void;
  /** Ends the engine processes. Call it when nothing is in flight. */
  close(): Promise<void>;
}

// The body reader gets this URL as an argument: the thread imports all dialects, and they import the reader.
const source = import.meta.url.endsWith('.ts');
const BODY_THREAD = new URL(source ? './routes/body-thread.ts' : './body-thread.js', import.meta.url);

/**
 * Connects the rooms, and creates the request handler of both hosts. A host calls it for one request of a connection at a time.
 * No model is loaded: see `App.model`.
 */
export function createApp(config: Config, logger: Logger): App {
  const metrics = createMetrics();
  const draining = new AbortController();
  const refusals = createRefusalPace();
  // Each open stream adds a listener.
  setMaxListeners(0, draining.signal);
  const capacity = measureCapacity();
  const parser = createBodyReader(BODY_THREAD, capacity);
  const onCloudRun = config.K_SERVICE !== undefined;
  const compiledModels = openCompiledModels(config, onCloudRun, logger);
  const repository = createRepository({
    store: openStore(config, onCloudRun, logger, metrics),
    name: config.MODEL_NAME,
    sha256: config.MODEL_SHA256,
    loadsOnRequest: config.MODEL_LOAD_ON_REQUEST === 'on' ? undefined : new Set(config.MODEL_NAMES),
    memoryBudget: config.MODEL_MEMORY_BUDGET,
    maxModels: config.MAX_LOADED_MODELS,
    refreshes: config.MODEL_REFRESH_SECONDS > 0,
    engine: {
      capacity,
      processes: config.INFERENCE_PROCESSES,
      pictureTurns: createPictureTurns(planPictures(capacity).processes),
      intraOpThreads: config.INTRA_OP_THREADS,
      executionProviders: config.EXECUTION_PROVIDERS,
      // Other providers have memory of their own, to which they copy the weights.
      weights: config.EXECUTION_PROVIDERS.every((provider) => provider === 'cpu') ? config.WEIGHTS : 'packed',
      compiledModels,
      maxBatchSize: config.MAX_BATCH_SIZE,
      maxBatchBytes: config.MAX_BATCH_BYTES,
      maxBatchTokens: config.MAX_BATCH_TOKENS,
      batchDelayMs: config.BATCH_DELAY_MS,
      maxQueueSize: config.MAX_QUEUE_SIZE,
      runTimeoutMs: config.RUN_TIMEOUT_MS,
      loadTimeoutMs: config.LOAD_TIMEOUT_MS,
    },
    telemetry: { logger, metrics },
  });
  const refresher = createRefresher(repository.refresh, config.MODEL_REFRESH_SECONDS * 1000, onCloudRun);
  observe(metrics, repository, logger);
  const memoryWatch = watchMemory(repository, logger);
  const routes = createRoutes(config, { repository, parser, metrics, logger, draining: draining.signal });
  const shared = {
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    logRequests: config.LOG_REQUESTS,
    logger,
    metrics,
    draining: () => draining.signal.aborted,
    refusals,
    authorize: createAuthorization(config.ADMIN_TOKEN_FILE, createCallerRules(config, repository, logger)),
    fields: createResponseFields(config.CORS_ORIGINS ?? [], config.TLS_CERT_FILE !== undefined),
  };
  const separate = config.ADMIN_PORT !== undefined;
  const router = createRouter(separate ? routes.filter((route) => !isForOperators(route)) : routes, shared);
  return {
    handler: refresher.runsOnRequests
      ? (req, res) => {
          refresher.onRequest();
          router(req, res);
        }
      : router,
    // Pages of other origins have no business there.
    adminHandler: separate
      ? createRouter(
          routes.filter((route) => isForOperators(route) || route.probe === true),
          {
            ...shared,
            fields: createResponseFields([], config.TLS_CERT_FILE !== undefined),
          },
        )
      : undefined,
    model: repository.main,
    metrics,
    routes,
    drain() {
      draining.abort();
      refusals.stop();
    },
    async close() {
      refresher.close();
      memoryWatch.stop();
      parser.close();
      metrics.close();
      await repository.close();
      compiledModels?.close();
    },
  };
}

/** What the routes of an app share. */
interface Shared {
  readonly repository: Repository;
  readonly parser: BodyReader;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Aborted when the server drains. */
  readonly draining: AbortSignal;
}

/** Whether a route is served on the admin port alone where there is one. */
const isForOperators = ({ admin, internal }: Route): boolean => admin === true || internal === true;

/** All routes. Of two with the same path and method, the later is served. */
function createRoutes(config: Config, { repository, parser, metrics, logger, draining }: Shared): Route[] {
  const predicting = { repository, parser, metrics, maxBodyBytes: config.MAX_BODY_BYTES };
  const isDraining = (): boolean => draining.aborted;
  const onGpu = config.EXECUTION_PROVIDERS.some((provider) => provider !== 'cpu');
  const served: Route[] = [
    ...createPredictRoutes({ ...predicting, predictTexts: createPredictTexts({ metrics, onGpu }) }),
    ...createBatchPredictRoutes({
      ...predicting,
      maxBatchSize: config.MAX_BATCH_SIZE,
      idleMs: config.REQUEST_TIMEOUT_MS,
      draining,
    }),
    ...createModelRoutes(repository),
    ...(config.PAGE === 'on' ? createExampleRoutes(repository, config.MAX_BODY_BYTES) : []),
    ...createOpenInferenceRoutes({
      ...predicting,
      draining: isDraining,
      admin: config.ADMIN_TOKEN_FILE !== undefined,
      maxBatchSize: config.MAX_BATCH_SIZE,
      batchDelayMs: config.BATCH_DELAY_MS,
      onGpu,
      logger,
    }),
    ...createTextEmbeddingsRoutes({
      ...predicting,
      onGpu,
      maxQueueSize: config.MAX_QUEUE_SIZE,
      maxBatchSize: config.MAX_BATCH_SIZE,
      maxBatchTokens: config.MAX_BATCH_TOKENS ?? defaultBatchTokens(config.EXECUTION_PROVIDERS),
    }),
    ...createOpenAiRoutes(predicting),
    ...createTensorFlowServingRoutes(predicting),
    ...createProbeRoutes({
      model: repository.main,
      isMain: repository.isMain,
      metrics,
      draining: isDraining,
    }),
    // After the others: a path that Vertex AI sets may be that of another route, and is served instead of it.
    ...createVertexRoutes({
      ...predicting,
      draining: isDraining,
      predictRoute: config.AIP_PREDICT_ROUTE,
      healthRoute: config.AIP_HEALTH_ROUTE,
      endpointId: config.AIP_ENDPOINT_ID,
      deployedModelId: config.AIP_DEPLOYED_MODEL_ID,
    }),
  ];
  // Before the others: a path that Vertex AI sets may be that of a page, and is served instead of it.
  const pages = config.PAGE === 'on' ? createPageRoutes() : [];
  const listed = config.ADMIN_PORT === undefined ? served : served.filter((route) => !isForOperators(route));
  return [...pages, ...served, ...createOpenApiRoutes(repository, listed, openRoutes(config))];
}

/** Which routes need no token; undefined if no caller needs one. */
function openRoutes({ AUTH_TOKEN_FILE, AUTH_ISSUER, AUTH_OPEN = [] }: Config): IsOpen {
  if (AUTH_TOKEN_FILE === undefined && AUTH_ISSUER === undefined) return undefined;
  return (route) => route.open === true || isOpened(AUTH_OPEN, route);
}

/** How callers are authenticated; undefined if no setting says so. */
function createCallerRules(config: Config, repository: Repository, logger: Logger): CallerRules | undefined {
  const { AUTH_TOKEN_FILE: tokenFile, AUTH_ISSUER: issuers, AUTH_QUOTA: quota } = config;
  if (tokenFile === undefined && issuers === undefined) return undefined;
  const jwt = issuers && { issuers, audiences: config.AUTH_AUDIENCE ?? [], claims: config.AUTH_CLAIMS ?? [], quota };
  // Other servers do not load it.
  const loading = import('./access/access.ts').then(({ createAccess }) => {
    authenticate = createAccess({ tokenFile, jwt, quota, logger });
    return authenticate;
  });
  // Each request that needs it throws the error.
  loading.catch((error) => logger.error('callers cannot be authenticated', { error }));
  let authenticate: Authenticate = async (req) => (await loading)(req);
  return {
    authenticate: (req) => authenticate(req),
    open: config.AUTH_OPEN ?? [],
    isMain: repository.isMain,
    whenMainIsKnown: () => repository.main.whenLive(),
  };
}

/** Registers the values that the metrics read at a scrape. */
function observe(metrics: Metrics, repository: Repository, logger: Logger): void {
  metrics.observe({
    queueDepth: () =>
      repository.known().map((one) => ({ model: one.status().name, depth: one.live()?.queueDepth() ?? 0 })),
    engines: () => repository.known().flatMap((one) => enginesOf(one.live())),
    models: () => repository.known().map((one) => one.status()),
    modelMemory: repository.memoryBytes,
    logDropped: logger.dropped,
  });
}

/** Watches the memory of the processes of all loaded models. */
function watchMemory(repository: Repository, logger: Logger): MemoryWatch {
  return createMemoryWatch({
    engines: () => repository.known().flatMap((one) => one.live()?.watched() ?? []),
    readCgroup: createCgroupReader(),
    onFailure: (model, error) =>
      logger.warning('an engine process that has grown was not replaced: its replacement did not load', {
        model,
        error,
      }),
  });
}

function openCompiledModels(config: Config, filesAreMemory: boolean, logger: Logger): CompiledModels | undefined {
  if (!mayCompile(config)) return undefined;
  const { COMPILED_MODELS, COMPILED_FOLDER: folder } = config;
  return createCompiledModels({ always: COMPILED_MODELS === 'on', folder, filesAreMemory, logger });
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
    {
      uri: config.MODEL_URI,
      file: config.MODEL_FILE,
      cache,
      filesAreMemory,
      allowsCode: config.MODEL_CODE === 'allow',
      signature: signatureOptions(config),
    },
    {
      onRetry(message, waitMs, background) {
        metrics.fetchRetried();
        // A refresh retries its reads for as long as the bucket is unreachable, and logs one warning itself.
        const log = background ? logger.debug : logger.warning;
        log(`retrying a read of the bucket${waitMs > 0 ? ` in ${Math.round(waitMs)} ms` : ''}: ${message}`, {});
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

function signatureOptions({ MODEL_PUBLIC_KEY_FILE: file, MODEL_NAME: modelName }: Config) {
  return file === undefined ? undefined : { publicKeys: readFileSync(file, 'utf8'), modelName };
}

const enginesOf = (live: Generation | undefined): (EngineView & { model: string; version: string })[] =>
  live?.engines().map((engine) => ({ ...engine, model: live.name, version: live.version })) ?? [];
