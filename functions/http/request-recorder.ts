import type { ErrorCode, ServingError } from '../errors.ts';
import type { LogFields, Logger } from '../telemetry/log/logger.ts';
import { createRefusalLog } from '../telemetry/log/refusal-log.ts';
import type { Metrics, RejectReason } from '../telemetry/metrics/metrics.ts';
import { parseTrace } from '../telemetry/trace.ts';
import type { RequestContext } from './request-context.ts';

interface RecorderOptions {
  /** `failed`: requests that failed, or took more than 10 s. */
  readonly logRequests: 'failed' | 'all';
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The request and, once one is found, its route. */
type Recorded = Pick<RequestContext, 'req' | 'id' | 'startedAt' | 'caller'> & {
  readonly route?: { readonly path: string; readonly probe?: boolean };
};

/** Requests slower than this are logged with the failed ones. */
const SLOW_SECONDS = 10;
/** Faults of the server or the model, not of load or the caller: they are logged with their stack. */
const WITH_STACK: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'MODEL_FAILED']);
/** Refusals that come by the thousand: they are counted in the log. */
const IN_BULK: ReadonlySet<ErrorCode> = new Set(['OVERLOADED', 'DRAINING', 'QUOTA_EXCEEDED']);
const REASONS: Partial<Record<ErrorCode, RejectReason>> = {
  OVERLOADED: 'overloaded',
  DEADLINE: 'deadline',
  REQUEST_TIMEOUT: 'deadline',
  DRAINING: 'draining',
  NOT_READY: 'not_ready',
  TOO_LARGE: 'too_large',
  CLIENT_GONE: 'client_gone',
  INVALID_INPUT: 'invalid',
};

/**
 * Makes the function that counts a finished request in the metrics, and logs it if it should be.
 * @param patternOf the path of the route that a path belongs to, whatever its method.
 */
export function createRequestRecorder(
  { logRequests, logger, metrics }: RecorderOptions,
  patternOf: (path: string) => string | undefined,
): (request: Recorded, path: string, status: number, error?: ServingError) => void {
  const logRefusal = createRefusalLog(logger);

  return (request, path, status, error) => {
    const { req, id, startedAt, route } = request;
    const seconds = (performance.now() - startedAt) / 1000;
    metrics.httpRequest(route?.path ?? patternOf(path) ?? 'none', req.method!, status, seconds);
    if (error !== undefined) {
      const reason = REASONS[error.code];
      if (reason !== undefined) metrics.rejected(reason);
      if (route?.probe === true && (error.code === 'NOT_READY' || error.code === 'DRAINING')) return;
      if (IN_BULK.has(error.code) && logRequests !== 'all') {
        logRefusal(error.code, error.code === 'QUOTA_EXCEEDED' ? request.caller?.name : undefined);
        return;
      }
    } else if (logRequests !== 'all' && seconds < SLOW_SECONDS) return;
    logger.request({
      method: req.method!,
      path,
      status,
      seconds,
      requestId: id,
      userAgent: req.headers['user-agent'],
      trace: () => parseTrace(one(req.headers.traceparent), one(req.headers['x-cloud-trace-context'])),
      ...callerFields(request, error),
      ...(error === undefined ? {} : { code: error.code, error: WITH_STACK.has(error.code) ? error : undefined }),
    });
  };
}

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);

/** Who has sent a request; or why it is not authenticated, which its response does not say. */
function callerFields({ caller }: Recorded, error: ServingError | undefined): Pick<LogFields, 'caller' | 'reason'> {
  if (caller !== undefined) return { caller: caller.name };
  return error?.code === 'UNAUTHORIZED' && error.detail !== undefined ? { reason: error.detail } : {};
}
