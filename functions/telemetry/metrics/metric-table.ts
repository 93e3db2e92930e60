/** The name, type and help text of a metric. */
interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
}

const counter = (name: string, help: string): MetricSpec => ({ name, type: 'counter', help });
const gauge = (name: string, help: string): MetricSpec => ({ name, type: 'gauge', help });
const histogram = (name: string, help: string): MetricSpec => ({ name, type: 'histogram', help });

/** All metrics. Every label has a closed or a bounded list of values. */
export const METRICS = {
  predictions: counter('predictions_total', 'Rows predicted, by model and outcome (ok, failed).'),
  latency: histogram(
    'prediction_latency_seconds',
    'Time from queueing a decoded row to the results of all rows queued with it: one value for each row with a result, in every dialect.',
  ),
  runRows: histogram('prediction_rows_per_run', 'Rows in one run of the model.'),
  queueDepth: gauge('prediction_queue_depth', 'Rows waiting for a run.'),
  queueWait: histogram('prediction_queue_wait_seconds', 'Time that the rows of a request wait for their run.'),
  run: histogram('prediction_run_seconds', 'One run of the model in an engine process.'),
  rejected: counter('requests_rejected_total', 'Requests refused or given up without a prediction, by reason.'),
  engineRestarts: counter('engine_restarts_total', 'Engine processes replaced, by reason.'),
  preparingRestarts: counter(
    'preparing_restarts_total',
    'Processes replaced that prepare texts and pictures, by reason.',
  ),
  engines: gauge('engine_processes', 'Engine processes, by state.'),
  engineMemory: gauge(
    'engine_process_resident_memory_bytes',
    'Resident memory of an engine process, by model, version and slot.',
  ),
  engineCpu: counter(
    'engine_process_cpu_seconds_total',
    'CPU time of an engine process, by model, version and slot; starts at 0 again with a new process.',
  ),
  modelState: gauge('model_state', '1 for the state a model is in, 0 for the others.'),
  modelRefreshes: counter('model_refreshes_total', 'Refreshes, by outcome.'),
  modelUnloads: counter('model_unloads_total', 'Models evicted.'),
  modelFetchRetries: counter('model_fetch_retries_total', 'Reads of a bucket that were retried.'),
  modelCache: counter('model_cache_events_total', 'Requests to Redis for parts of models, by event.'),
  modelMemory: gauge('model_memory_bytes', 'Memory reserved for loaded models: their files and processes.'),
  modelLoad: gauge('model_load_seconds', "Duration of each phase of a model's latest load."),
  httpRequests: counter('http_requests_total', 'HTTP responses, by route, method and status.'),
  httpDuration: histogram('http_request_duration_seconds', "From a request's headers to the end of its response."),
  connectionsClosed: counter(
    'http_connections_closed_total',
    'Connections closed because of what the client sent, or did not send or read, or because there were too many, by reason.',
  ),
  loopDelay: gauge('event_loop_delay_seconds', 'Delay of the event loop since the last scrape (at least 15 s).'),
  logDropped: counter('log_lines_dropped_total', 'Log lines dropped because the reader of stdout did not keep up.'),
  cpu: counter('process_cpu_seconds_total', 'CPU time of the serving process, user and system.'),
  memory: gauge('process_resident_memory_bytes', 'Resident memory of the serving process.'),
  started: gauge('process_start_time_seconds', 'Start of the serving process, in seconds since 1970.'),
  nodeVersion: gauge('nodejs_version_info', 'Version of Node.js, as labels.'),
} as const satisfies Record<string, MetricSpec>;

/** The key of a metric in {@link METRICS}. */
export type MetricKey = keyof typeof METRICS;

/** The upper bounds of histograms of durations: seconds, 100 µs to a minute. */
export const TIME_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** The upper bounds of histograms of rows. */
export const ROW_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const;

/** Why a request got no prediction. */
export const REJECT_REASONS = [
  'overloaded',
  'deadline',
  'draining',
  'not_ready',
  'too_large',
  'client_gone',
  'invalid',
] as const;
/** One of {@link REJECT_REASONS}. */
export type RejectReason = (typeof REJECT_REASONS)[number];

/** Why a connection was closed. */
export const CLOSE_REASONS = [
  'bad_request',
  'headers_too_large',
  'headers_timeout',
  'body_not_sent',
  'response_not_read',
  'too_many_pipelined',
  'too_many_connections',
  'tls_handshake',
] as const;
/** One of {@link CLOSE_REASONS}. */
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** The states of a model. `degraded`: it serves, and a part of it or a newer version fails. */
export const MODEL_STATES = ['idle', 'loading', 'ready', 'failed', 'degraded'] as const;
/** One of {@link MODEL_STATES}. */
export type ModelState = (typeof MODEL_STATES)[number];

/** The phases of a load, in their order. */
export const LOAD_PHASES = ['listing', 'fetching', 'loading', 'checking', 'warming'] as const;
/** One of {@link LOAD_PHASES}. */
export type LoadPhase = (typeof LOAD_PHASES)[number];

/** The states of an engine's slot. `waiting`: its process has ended, and the next one starts after a back-off. */
export const ENGINE_STATES = ['starting', 'idle', 'busy', 'waiting', 'closed'] as const;
/** One of {@link ENGINE_STATES}. */
export type EngineState = (typeof ENGINE_STATES)[number];

/** Why an engine process was replaced. */
export const RESTART_REASONS = ['crash', 'run_timeout', 'load_failed', 'memory', 'compiled'] as const;
/** One of {@link RESTART_REASONS}. */
export type RestartReason = (typeof RESTART_REASONS)[number];

/** The outcomes of a check for a newer model that found one, or failed. */
export const REFRESH_OUTCOMES = ['swapped', 'failed', 'unreachable'] as const;
/** One of {@link REFRESH_OUTCOMES}. */
export type RefreshOutcome = (typeof REFRESH_OUTCOMES)[number];

/** The outcomes of requests to the cache. `garbage`: a value that this server did not write; `skipped`: the cache was not used for this part. */
export const CACHE_EVENTS = ['hit', 'miss', 'garbage', 'stored', 'skipped', 'fault'] as const;
/** One of {@link CACHE_EVENTS}. */
export type CacheEventName = (typeof CACHE_EVENTS)[number];

/** The values of the label `method`; other methods are counted as `other`. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** Most distinct values of a label; further ones are counted as `other`. */
export const LABEL_LIMITS = { model: 256, route: 128 } as const;
