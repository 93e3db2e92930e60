import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ServingError } from '../errors.ts';
import type { Logger } from '../telemetry/log/logger.ts';
import type { Metrics } from '../telemetry/metrics/metrics.ts';
import { type BodyBudget, BodyReservation, processBudget } from './body/body-budget.ts';
import { freeMemory, ownsMemory } from './body/owned-memory.ts';
import type { PieceReader } from './body/pieces.ts';
import { type BufferedBody, receiveBody, type StreamedBody } from './body/receive-body.ts';
import { limitClient } from './connection/client-limits.ts';
import { createRefusalPace, type RefusalPace } from './connection/refusal-pace.ts';
import { isArriving, sendFailure, toServingError } from './error-response.ts';
import { type RequestContext, RequestState } from './request-context.ts';
import { createRequestRecorder } from './request-recorder.ts';
import { readPriority, readTimeout } from './request-terms.ts';
import { createResponseFields, type FieldsOfResponses } from './response-fields.ts';
import { createRouteTable, NO_PARAMS } from './route-table.ts';
import { type ShapeFailure, STATUS } from './status.ts';
import { readTarget } from './target.ts';

interface RouteBase {
  /**
   * Decides whether the request could be served now, before its body is read: a refusal then costs least.
   * @returns the error to respond with, or undefined.
   */
  readonly admit?: (context: RequestContext) => ServingError | undefined;
  readonly method: 'GET' | 'POST';
  /** A part in braces is a parameter, which matches one part of a request's path: `/models/{name}/predict`. */
  readonly path: string;
  /** Polled by platforms: served while the server drains; `NOT_READY` and `DRAINING` are not logged. */
  readonly probe?: boolean;
  /** It changes the server, and needs the admin token: see `authorize`. */
  readonly admin?: boolean;
  /** It shows operators how the server runs: like those with `admin`, it is served on the admin port alone if there is one. */
  readonly internal?: boolean;
  /** Served without authentication: platforms poll it. Its response has nothing for an anonymous caller but the status. */
  readonly open?: boolean;
  /** It serves the model behind `/predict`, which the path does not name. */
  readonly main?: boolean;
  /** It needs the right to read metrics. */
  readonly metrics?: boolean;
  /** Writes the errors of its requests. Default: as `failureBody`. */
  readonly shapeFailure?: ShapeFailure;
  /** The error for a model that does not exist, in the words of the route's dialect. Default: those of the native routes. */
  unknownModel?(params: RequestContext['params']): ServingError;
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
   * It sets the `caller` of the context.
   * @throws ServingError `UNAUTHORIZED`, `FORBIDDEN`; `NOT_FOUND` for a model that the caller may not use; `QUOTA_EXCEEDED`.
   */
  readonly authorize?: (context: RequestContext, route: Route) => void | Promise<void>;
  /** The fields of all responses. Default: no CORS. */
  readonly fields?: FieldsOfResponses;
  /** The memory for all bodies together. Default: the process's budget. */
  readonly budget?: BodyBudget;
  /** When refusals of `Route.admit` are sent. Default: at a rate of their own. */
  readonly refusals?: RefusalPace;
}

/** Handles one request. It never throws: every error becomes a response. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse) => void;

const REQUEST_ID = /^[\w.:-]{1,128}$/;
type Routed = Omit<RequestContext, 'params'> & {
  route?: Route;
  params: RequestContext['params'];
  /** The memory that is reserved for the body. */
  reservation?: BodyReservation;
  /** The caller may use the route: `admit` must not be called before. */
  isAuthorized?: boolean;
};

/**
 * Creates the handler of all requests: it finds the route, authorizes the caller, receives the body, enforces the deadline, and
 * turns every error into a response. Only probes are served while the server drains.
 */
export function createRouter(routes: readonly Route[], options: RouterOptions): RequestHandler {
  const { metrics, requestTimeoutMs, authorize, budget = processBudget } = options;
  const { fields: responses = createResponseFields([], false), refusals = createRefusalPace() } = options;
  const table = createRouteTable(routes);
  const record = createRequestRecorder(options, table.patternOf);
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
      if (route.shapeFailure !== undefined) context.shapeFailure = route.shapeFailure;
      if (options.draining() && route.probe !== true) {
        throw new ServingError('DRAINING', 'the server is shutting down', { retryAfter: 1 });
      }
      const timeoutMs = readTimeout(req.headers, requestTimeoutMs);
      timer = setTimeout(expire, timeoutMs, context, timeoutMs);
      cancellation.priority = readPriority(req.headers);
      if (route.body?.kind !== 'streamed') cancellation.deadline = context.startedAt + timeoutMs;
      const authorized = authorize?.(context, route);
      if (authorized !== undefined) {
        await authorized;
        if (cancellation.cancelled) throw leftEarly();
      }
      context.isAuthorized = true;
      cancellation.caller = context.caller?.id;
      const refusal = route.admit?.(context);
      if (refusal !== undefined) {
        await refusals.wait();
        throw cancellation.left ? leftEarly() : refusal;
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
      if (cancellation.expired) return;
      freeBody(context, body);
      record(context, path, res.statusCode, context.fault);
    } catch (error) {
      // The handler may have failed after it began to send.
      context.sending?.catch(() => {});
      if (body !== undefined && 'stop' in body) body.stop();
      if (cancellation.expired) return;
      const shown = toServingError(error);
      record(context, path, cancellation.left ? STATUS[shown.code] : sendFailure(context, shown), shown);
    } finally {
      clearTimeout(timer);
      context.releaseResult?.();
      releaseBody(context);
      if (!cancellation.expired) limitClient(req, res, requestTimeoutMs, metrics.connectionClosed);
    }
  }

  function expire(context: Routed, timeoutMs: number): void {
    const { req, res, route, cancellation, isAuthorized = false } = context;
    // The handler may never end.
    releaseBody(context);
    if (cancellation.left || res.headersSent) return;
    cancellation.expired = true;
    const error = isArriving(req)
      ? new ServingError('REQUEST_TIMEOUT', `the body did not arrive within ${timeoutMs} ms`)
      : new ServingError('DEADLINE', `no response within ${timeoutMs} ms`, {
          retryAfter: (isAuthorized && route!.admit?.(context)?.retryAfter) || 1,
        });
    const status = sendFailure(context, error);
    // The handler may wait for the rest of the body: this ends its wait.
    limitClient(req, res, requestTimeoutMs, metrics.connectionClosed);
    record(context, route!.path, status, error);
  }

  return (req, res) => {
    const { path, query } = readTarget(req.url!);
    const id = idOf(req);
    const startedAt = performance.now();
    const fields = responses.of(req);
    const cancellation = new RequestState(res);
    const context = { req, res, id, query, params: NO_PARAMS, caller: undefined, cancellation, startedAt, fields };
    if (responses.preflight(req, res, id)) {
      record(context, path, res.statusCode);
      limitClient(req, res, requestTimeoutMs, metrics.connectionClosed);
    } else void serve(context, path);
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

/**
 * Frees the memory of a body whose response is complete: then all its rows have been run, and no engine reads them any more. After
 * an error they may still be in a run.
 */
function freeBody({ freeResult }: Routed, body: Buffer | PieceReader | undefined): void {
  freeResult?.();
  if (body instanceof Uint8Array && ownsMemory(body)) freeMemory(body.buffer);
}

/** Releases the memory that is reserved for the body once the response has been sent, or cannot be sent any more. */
function releaseBody({ reservation, res }: Routed): void {
  if (reservation === undefined || reservation.isReleased) return;
  if (res.closed) reservation.release();
  else res.once('close', () => reservation.release());
}
