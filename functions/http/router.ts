import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorCode, ServingError } from '../errors.ts';
import type { Logger } from '../telemetry/log/logger.ts';
import type { Metrics, RejectReason } from '../telemetry/metrics/metrics.ts';
import { parseTrace } from '../telemetry/trace.ts';
import { type BodyBudget, BodyReservation, processBudget } from './body/body-budget.ts';
import type { PieceReader } from './body/pieces.ts';
import { type BufferedBody, receiveBody, type StreamedBody } from './body/receive-body.ts';
import { limitClient } from './connection/client-limits.ts';
import { isArriving, sendFailure, toServingError } from './error-response.ts';
import { type RequestContext, RequestState } from './request-context.ts';
import { createResponseFields, type FieldsOfResponses } from './response-fields.ts';
import { createRouteTable, NO_PARAMS } from './route-table.ts';
import { STATUS } from './status.ts';
import { readTarget } from './target.ts';

interface RouteBase {
  readonly method: 'GET' | 'POST';
  /** A part in braces is a parameter, which matches one part of a request's path: `/models/{name}/predict`. */
  readonly path: string;
  /** Polled by platforms: served while the server drains; `NOT_READY` and `DRAINING` are not logged. */
  readonly probe?: boolean;
  /** It changes the server, and needs the admin token: see `authorize`. */
  readonly admin?: boolean;
  /** It shows operators how the server runs: like those with `admin`, it is served on the admin port alone if there is one. */
  readonly internal?: boolean;
}

/** A route that reads no body: what a client sends is discarded. */
export interface BodilessRoute extends RouteBase {
  readonly body?: undefined;
  handle(context: RequestContext): void | Promise<void>;
}

/** A route whose handler gets the complete body, which must arrive before the deadline. */
export interface BufferedRoute extends RouteBase {
  readonly body: BufferedBody;
  handle(context: RequestContext, body: Buffer): void | Promise<void>;
}

/**
 * A route that reads its body, or writes its response, for as long as that takes, with idle timers of its own. The deadline
 * only applies to the arrival of a body that the route gets complete.
 */
export interface StreamRoute extends RouteBase {
  readonly body: StreamedBody;
  handle(context: RequestContext, body: Buffer | PieceReader): void | Promise<void>;
}

/** A method, a path, the body that the handler gets, and the handler. A handler throws what the response should report. */
export type Route = BodilessRoute | BufferedRoute | StreamRoute;

/** What all routes share. */
export interface RouterOptions {
  /** The deadline, in milliseconds after a request's head: then it gets 504, or 408 if its body has not arrived. */
  readonly requestTimeoutMs: number;
  /** `failed`: requests that failed, or took more than 10 s. */
  readonly logRequests: 'failed' | 'all';
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Whether the server drains: requests are refused then, except to probes. */
  readonly draining: () => boolean;
  /**
   * Checks that the caller may use the route, before the body is read: it stays unread until a returned promise settles.
   * @throws ServingError `UNAUTHORIZED`, `FORBIDDEN`.
   */
  readonly authorize?: (context: RequestContext, route: Route) => void | Promise<void>;
  /** The fields of all responses. Default: no CORS. */
  readonly fields?: FieldsOfResponses;
  /** The memory for all bodies together. Default: the process's budget. */
  readonly budget?: BodyBudget;
}

/** Handles one request. It never throws: every error becomes a response. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** Requests slower than this are logged with the failed ones. */
const SLOW_SECONDS = 10;
const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** Faults of the server or the model, not of load or the caller: they are logged with their stack. */
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

type Routed = Omit<RequestContext, 'params'> & {
  route?: Route;
  params: RequestContext['params'];
  /** The memory that is reserved for the body. */
  reservation?: BodyReservation;
};

/**
 * Creates the handler of all requests: it finds the route, authorizes the caller, receives the body, enforces the deadline, and
 * turns every error into a response. Only probes are served while the server drains.
 */
export function createRouter(routes: readonly Route[], options: RouterOptions): RequestHandler {
  const { logger, metrics, requestTimeoutMs, authorize, budget = processBudget } = options;
  const { fields: responses = createResponseFields([], false) } = options;
  const table = createRouteTable(routes);
  if (authorize === undefined && routes.some(({ admin }) => admin === true)) {
    throw new Error('routes with `admin` need `authorize`: without it anybody could call them');
  }
  const idOf = createRequestIds();

  async function serve(context: Routed, path: string): Promise<void> {
    const { req, res, cancellation } = context;
    let timer: NodeJS.Timeout | undefined;
    let body: Buffer | PieceReader | undefined;
    try {
      const { route, params } = table.find(path, req.method!);
      context.route = route;
      context.params = params;
      if (options.draining() && route.probe !== true) {
        throw new ServingError('DRAINING', 'the server is shutting down', { retryAfter: 1 });
      }
      timer = setTimeout(expire, requestTimeoutMs, context);
      const authorized = authorize?.(context, route);
      if (authorized !== undefined) {
        await authorized;
        if (cancellation.gone) throw leftEarly();
      }
      if (route.body !== undefined) {
        context.reservation = new BodyReservation(budget);
        const received = receiveBody(req, route.body, context.reservation);
        body = received instanceof Promise ? await received : received;
        if (route.body.kind === 'streamed') clearTimeout(timer);
      }
      // The body is of the kind that the route declares.
      await route.handle(context, body as never);
      if (context.sending !== undefined) await context.sending;
      if (cancellation.left) throw leftEarly();
      if (!cancellation.expired) record(context, path, res.statusCode, context.fault);
    } catch (error) {
      // The handler may have failed after it began to send.
      context.sending?.catch(() => {});
      if (body !== undefined && 'stop' in body) body.stop();
      if (cancellation.expired) return;
      const shown = toServingError(error);
      if (!cancellation.left) sendFailure(context, shown);
      record(context, path, STATUS[shown.code], shown);
    } finally {
      clearTimeout(timer);
      context.releaseResult?.();
      releaseBody(context);
      if (!cancellation.expired) limitClient(req, res, requestTimeoutMs, metrics.connectionClosed);
    }
  }

  function expire(context: Routed): void {
    const { req, res, cancellation } = context;
    // The handler may never end.
    releaseBody(context);
    if (cancellation.left || res.headersSent) return;
    cancellation.expired = true;
    const error = isArriving(req)
      ? new ServingError('REQUEST_TIMEOUT', `the body did not arrive within ${requestTimeoutMs} ms`)
      : new ServingError('DEADLINE', `no response within ${requestTimeoutMs} ms`);
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
    const id = idOf(req);
    const startedAt = performance.now();
    const fields = responses.of(req);
    const context = { req, res, id, query, params: NO_PARAMS, cancellation: new RequestState(res), startedAt, fields };
    if (responses.preflight(req, res, id)) record(context, path, res.statusCode);
    else void serve(context, path);
  };
}

/** Makes the function that gives a request its id: the caller's if it has a usable one. */
function createRequestIds(): (req: IncomingMessage) => string {
  const prefix = randomBytes(5).toString('hex');
  let requests = 0;
  return ({ headers: { 'x-request-id': given } }) =>
    typeof given === 'string' && REQUEST_ID.test(given) ? given : `${prefix}-${(++requests).toString(36)}`;
}

const leftEarly = (): ServingError => new ServingError('CLIENT_GONE', 'the client left before its response');

/** Releases the memory that is reserved for the body once the response has been sent, or cannot be sent any more. */
function releaseBody({ reservation, res }: Routed): void {
  if (reservation === undefined || reservation.isReleased) return;
  if (res.closed) reservation.release();
  else res.once('close', () => reservation.release());
}

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);
