import type { Trace } from '../trace.ts';
import { describeError } from './log-error.ts';
import type { Level } from './log-level.ts';

/**
 * The fields of a line beside its message. The list is closed: no field is for a body, a feature value or a credential, so that
 * none is logged.
 */
export interface LogFields {
  /** A function is called only when the line is written. */
  trace?: Trace | (() => Trace | undefined) | undefined;
  error?: unknown;
  requestId?: string | undefined;
  /** A `ServingError` code. */
  code?: string | undefined;
  /** The name of the caller that sent a request, never its token. */
  caller?: string | undefined;
  model?: string | undefined;
  version?: string | undefined;
  /** The address of a model: a path or a `gs://` address. */
  uri?: string | undefined;
  state?: string | undefined;
  phase?: string | undefined;
  reason?: string | undefined;
  /** The slot of an engine process. */
  engine?: number | undefined;
  pid?: number | undefined;
  exitCode?: number | undefined;
  signal?: string | undefined;
  host?: string | undefined;
  port?: number | undefined;
  /** The name of a setting, never its value. */
  setting?: string | undefined;
  seconds?: number | undefined;
  bytes?: number | undefined;
  rows?: number | undefined;
  count?: number | undefined;
  /** Of a traced request, in nanoseconds of a clock that starts with the process. */
  timestamps?: readonly { readonly name: string; readonly ns: number }[] | undefined;
}

/** The fields of a finished request. */
export interface RequestLog extends LogFields {
  method: string;
  /** The requested path. A query, which may have a secret, is removed. */
  path: string;
  status: number;
  /** From the request's head to the end of its response. */
  seconds: number;
  userAgent?: string | undefined;
  requestBytes?: number | undefined;
  responseBytes?: number | undefined;
}

/** https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest; int64 is a string in its JSON. */
interface HttpRequest {
  requestMethod: string;
  requestUrl: string;
  status: number;
  latency: string;
  userAgent?: string;
  requestSize?: string;
  responseSize?: string;
}

/** A line as Cloud Logging reads it from stdout: https://cloud.google.com/logging/docs/structured-logging */
export interface LogEntry {
  severity: Uppercase<Level>;
  message: string;
  time: string;
  httpRequest?: HttpRequest;
  stack_trace?: string;
  [field: string]: unknown;
}

/** The fields by which Cloud Logging links a line to its trace: https://cloud.google.com/logging/docs/structured-logging */
export const TRACE = 'logging.googleapis.com/trace';
/** @see TRACE */
export const SPAN_ID = 'logging.googleapis.com/spanId';
/** @see TRACE */
export const TRACE_SAMPLED = 'logging.googleapis.com/trace_sampled';

const MAX_PATH = 2048;
const MAX_USER_AGENT = 512;

/**
 * Makes the entry of a line, with the current time. Its trace is `projects/<project>/traces/<id>`; without a project it is the id
 * alone, which still groups the lines of a request, and to which some logging agents add the project.
 */
export function makeEntry(level: Level, message: string, fields: LogFields, projectId: string | undefined): LogEntry {
  const { trace, error, ...rest } = fields;
  const entry: LogEntry = {
    severity: level.toUpperCase() as Uppercase<Level>,
    message,
    time: new Date().toISOString(),
    ...rest,
    ...(error === undefined ? {} : describeError(error)),
  };
  const found = typeof trace === 'function' ? trace() : trace;
  if (found !== undefined) {
    entry[TRACE] = projectId === undefined ? found.traceId : `projects/${projectId}/traces/${found.traceId}`;
    if (found.spanId !== undefined) entry[SPAN_ID] = found.spanId;
    entry[TRACE_SAMPLED] = found.sampled;
  }
  return entry;
}

/** The level of a request's line, by the same rule as Cloud Run's own request log, except for 501 and 503. */
export function levelOfStatus(status: number): Level {
  // 503 is the correct response of a server that loads or drains, and 501 depends on the caller: neither needs an alarm.
  if (status >= 500 && status !== 503 && status !== 501) return 'error';
  return status >= 400 ? 'warning' : 'info';
}

/** Makes the entry of a finished request. */
export function makeRequestEntry(request: RequestLog, projectId: string | undefined): LogEntry {
  const { method, path, status, seconds, userAgent, requestBytes, responseBytes, ...fields } = request;
  const requestUrl = path.split('?', 1)[0]!.slice(0, MAX_PATH);
  const entry = makeEntry(levelOfStatus(status), `${method} ${requestUrl} ${status}`, fields, projectId);
  entry.httpRequest = {
    requestMethod: method,
    requestUrl,
    status,
    latency: `${Math.max(0, seconds).toFixed(9)}s`,
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, MAX_USER_AGENT) }),
    ...(requestBytes === undefined ? {} : { requestSize: String(requestBytes) }),
    ...(responseBytes === undefined ? {} : { responseSize: String(responseBytes) }),
  };
  return entry;
}
