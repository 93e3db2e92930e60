import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createApp } from './app.ts';
import { readConfigOrExit } from './bootstrap.ts';
import { DirectMessage } from './http/body/direct-message.ts';
import { createBadRequestListener, refuseHost } from './http/connection/bad-request.ts';
import { watchHalfClosed } from './http/connection/half-closed.ts';
import { listen } from './http/connection/listen.ts';
import { createLogger } from './telemetry/log/logger.ts';

// Not by `import`: see http/direct-message.ts.
const { createServer } = process.getBuiltinModule('node:http');

/** Above the 600 s for which Google's load balancers keep a connection: the server must not be the first to close. */
const KEEP_ALIVE_MS = 620_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Once nothing is in flight, requests that were on the wire at the signal still get an answer, a 503, for this long. */
const LINGER_MS = 200;
/** Of the grace: kept back for ending engines and writing the last log lines. */
const CLOSING_MS = 500;

/** Reads the settings, listens, loads, and serves until a signal or an uncaught error. */
export async function main(): Promise<void> {
  const config = readConfigOrExit();
  const logger = createLogger({
    level: config.LOG_LEVEL,
    transport: config.LOG_TRANSPORT,
    projectId: config.GOOGLE_CLOUD_PROJECT,
    readable: process.stdout.isTTY,
  });
  const app = createApp(config, logger);
  // The latest response of each connection, which HTTP/1.1 finishes last. A set of responses would not do: a set that is
  // added to and deleted from is rebuilt time and again, and in V8 each old table keeps the next one, with what is in
  // it, alive up to a full collection. That was a quarter of all garbage, copied at every small collection.
  const latest = new Map<Socket, ServerResponse>();
  let draining = false;

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    latest.set(req.socket, res);
    if (draining) res.shouldKeepAlive = false;
    if (!refuseHost(req, res)) app.handler(req, res);
  }

  function inFlight(): ServerResponse[] {
    return [...latest.values()].filter((res) => !res.writableFinished && !res.destroyed);
  }

  const server = createServer(
    {
      IncomingMessage: DirectMessage,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // A long upload is bounded by the idle timer of its route.
      requestTimeout: 0,
      requireHostHeader: false,
      connectionsCheckingInterval: 1000,
    },
    onRequest,
  );
  // Of clients that have ended their side, too: Node would end the connection before the response. It has no option for it.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  server.on('connection', (socket: Socket) => {
    socket.once('close', () => latest.delete(socket));
    socket.once('end', () => watchHalfClosed(socket, () => latest.get(socket)));
  });
  server.on(
    'clientError',
    createBadRequestListener({ latest: (socket) => latest.get(socket), logger, metrics: app.metrics }),
  );
  // RFC 9110, 10.1.1: an unknown expectation may be ignored. Node's own response to it has no body.
  server.on('checkExpectation', onRequest);
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    // The limit is for buffered bodies: a client may stream NDJSON of any length, and wait for leave to begin.
    const stream = /ndjson|jsonl/i.test(req.headers['content-type'] ?? '');
    if (stream || Number(req.headers['content-length'] ?? 0) <= config.MAX_BODY_BYTES) res.writeContinue();
    onRequest(req, res);
  });

  /** Unready first; what was accepted is finished, what comes is refused; then the engines end, and the process. */
  async function shutDown(why: string, exitCode: number): Promise<void> {
    if (draining) process.exit(exitCode || 1);
    draining = true;
    logger.info(`${why}: finishing the requests in flight`, { count: inFlight().length });
    app.drain();
    for (const res of inFlight()) res.shouldKeepAlive = false;
    const finished = await settled(() => inFlight().length > 0, config.SHUTDOWN_GRACE_MS - CLOSING_MS);
    if (!finished) logger.error('requests were cut off: SHUTDOWN_GRACE_MS is over', { count: inFlight().length });
    server.close();
    server.closeAllConnections();
    await Promise.race([app.close(), delay(CLOSING_MS / 2)]);
    await logger.flush(CLOSING_MS / 2);
    process.exit(exitCode);
  }

  process.on('SIGTERM', () => void shutDown('SIGTERM', 0));
  process.on('SIGINT', () => void shutDown('SIGINT', 0));
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      logger.critical(`uncaught error: ${event}`, { error });
      void shutDown(event, 1);
    });
  }

  listen(server, config.PORT, logger, () => void logger.flush(CLOSING_MS).then(() => process.exit(1)));
  if (config.MODEL_LOAD !== 'lazy') app.model.load();
}

/** Resolves with true once nothing has been in flight for a moment, or with false after `timeoutMs`. */
async function settled(busy: () => boolean, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  let quietSince = performance.now();
  while (performance.now() < until) {
    if (busy()) quietSince = performance.now();
    else if (performance.now() - quietSince >= LINGER_MS) return true;
    await delay(10);
  }
  return !busy();
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
