import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorCode, ServingError } from '../errors.ts';
import type { Logger } from '../telemetry/log/logger.ts';
import type { Metrics, RejectReason } from '../telemetry/metrics/metrics.ts';
import { parseTrace } from '../telemetry/trace.ts';
import { releaseBody } from './body/body-budget.ts';
import { limitClient } from './connection/client-limits.ts';
import { isArriving, sendFailure, toServingError } from './error-response.ts';
import { type RequestContext, RequestState } from './request-context.ts';
import { createRouteTable, NO_PARAMS } from './route-table.ts';
import { STATUS } from './status.ts';
import { readTarget } from './target.ts';

export interface Route {
  readonly method: 'GET' | 'POST';
  /** A part in braces stands for one of the caller's, percent-encoded: `/models/{name}/predict`. */
  readonly path: string;
  /** Reads or writes for as long as it takes, with idle timers of its own in place of the deadline. */
  readonly streams?: boolean;
  /** Asked by platforms, again and again: answers while the server drains, and is not logged when it says "not yet". */
  readonly probe?: boolean;
  handle(context: RequestContext): void | Promise<void>;
}

export interface RouterOptions {
  readonly requestTimeoutMs: number;
  readonly logRequests: 'failed' | 'all';
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly draining: () => boolean;
}

export type RequestHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** Requests slower than this are logged with the failed ones. */
const SLOW_SECONDS = 10;
const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** What is wrong here, as against what is full, late, or not there yet: the log tells where it came from. */
const WITH_STACK: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'MODEL_FAILED']);
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

type Routed = Omit<RequestContext, 'params'> & { route?: Route; params: RequestContext['params'] };

/** Finds the route, keeps the deadline, and turns every error into an answer: the one try and catch of a request. */
export function createRouter(routes: readonly Route[], options: RouterOptions): RequestHandler {
  const { logger, metrics, requestTimeoutMs } = options;
  const table = createRouteTable(routes);
  const idPrefix = randomBytes(5).toString('hex');
  let requests = 0;

  async function answer(context: Routed, path: string): Promise<void> {
    const { req, res, cancellation } = context;
    let timer: NodeJS.Timeout | undefined;
    try {
      const { route, params } = table.find(path, req.method!);
      context.route = route;
      context.params = params;
      if (options.draining() && route.probe !== true) {
        throw new ServingError('DRAINING', 'the server is shutting down', { retryAfter: 1 });
      }
      if (route.streams !== true) timer = setTimeout(expire, requestTimeoutMs, context);
      await route.handle(context);
      if (context.sending !== undefined) await context.sending;
      if (cancellation.left) throw new ServingError('CLIENT_GONE', 'the client left before its answer');
      if (!cancellation.expired) record(context, path, res.statusCode, context.fault);
    } catch (error) {
      // Where the handler failed behind its own response.
      context.sending?.catch(() => {});
      if (cancellation.expired) return;
      const shown = toServingError(error);
      if (!cancellation.left) sendFailure(context, shown);
      record(context, path, STATUS[shown.code], shown);
    } finally {
      clearTimeout(timer);
      context.releaseResult?.();
      if (cancellation.expired) releaseBody(req, res);
      else limitClient(req, res, requestTimeoutMs, metrics.connectionClosed);
    }
  }

  function expire(context: Routed): void {
    const { req, res, cancellation } = context;
    if (cancellation.left || res.headersSent) {
      // Also where the handler never ends.
      releaseBody(req, res);
      return;
    }
    cancellation.expired = true;
    const error = isArriving(req)
      ? new ServingError('REQUEST_TIMEOUT', `the body did not arrive within ${requestTimeoutMs} ms`)
      : new ServingError('DEADLINE', `no answer within ${requestTimeoutMs} ms`);
    sendFailure(context, error);
    // The handler may wait for the rest of the body: this ends its wait.
    limitClient(req, res, requestTimeoutMs, metrics.connectionClosed);
    record(context, context.route!.path, STATUS[error.code], error);
  }

  function record(context: Routed, path: string, status: number, error?: ServingError): void {
    const { req, id, startedAt } = context;
    const seconds = (performance.now() - startedAt) / 1000;
    metrics.httpRequest(context.route?.path ?? table.patternOf(path) ?? 'none', req.method!, status, seconds);
    if (error !== undefined) {
      const reason = REASONS[error.code];
      if (reason !== undefined) metrics.rejected(reason);
      if (context.route?.probe === true && (error.code === 'NOT_READY' || error.code === 'DRAINING')) return;
    } else if (options.logRequests !== 'all' && seconds < SLOW_SECONDS) return;
    logger.request({
      method: req.method!,
      path,
      status,
      seconds,
      requestId: id,
      userAgent: req.headers['user-agent'],
      trace: () => parseTrace(one(req.headers.traceparent), one(req.headers['x-cloud-trace-context'])),
      ...(error === undefined ? {} : { code: error.code, error: WITH_STACK.has(error.code) ? error : undefined }),
    });
  }

  return (req, res) => {
    const { path, query } = readTarget(req.url!);
    const given = req.headers['x-request-id'];
    const id = typeof given === 'string' && REQUEST_ID.test(given) ? given : `${idPrefix}-${(++requests).toString(36)}`;
    void answer(
      { req, res, id, query, params: NO_PARAMS, cancellation: new RequestState(res), startedAt: performance.now() },
      path,
    );
  };
}

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);
