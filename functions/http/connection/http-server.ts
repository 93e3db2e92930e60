import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import { DirectMessage } from '../body/direct-message.ts';
import type { RequestHandler } from '../router.ts';
import { createBadRequestListener } from './bad-request.ts';
import { createConnectionLimit } from './connection-limit.ts';
import { drain } from './drain.ts';
import { watchHalfClosed } from './half-closed.ts';
import { refuseHead } from './refuse-head.ts';
import { trackSecureSockets } from './secure-sockets.ts';
import { createTurns } from './turns.ts';

// Not by `import`: see ../body/direct-message.ts.
const { createServer } = process.getBuiltinModule('node:http');

/** Above the 600 s for which Google's load balancers keep a connection: the server must not be the first to close. */
const KEEP_ALIVE_MS = 620_000;
const HEADERS_TIMEOUT_MS = 10_000;

interface HttpServerOptions {
  readonly handler: RequestHandler;
  /** Bytes. A client that announces a larger body with `Expect: 100-continue` is not asked to send it. */
  readonly maxBodyBytes: number;
  /** See `createConnectionLimit`. */
  readonly maxConnections: number;
  /** Certificate and key for HTTPS; with `ca`, clients need a certificate of it. Undefined: HTTP without TLS. */
  readonly tls?: SecureContextOptions | undefined;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'connectionClosed'>;
}

interface HttpServer {
  /** Does not listen yet: see `listen`. */
  readonly server: Server;
  /** The number of connections that have a request in flight. */
  inFlight(): number;
  /**
   * Starts to close each connection after its response, and waits for the requests in flight.
   * @returns true once all requests in flight are finished, false when some are not after `timeoutMs`.
   */
  drain(timeoutMs: number): Promise<boolean>;
  /** Closes all connections. */
  close(): void;
  /** Uses another certificate for new connections. */
  setCertificate(tls: SecureContextOptions): void;
}

/** Creates the container's HTTP server: it handles one request of a connection at a time, and limits what clients may do. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { handler, maxBodyBytes, maxConnections, tls, logger, metrics } = options;
  let draining = false;
  const turns = createTurns((req, res) => {
    if (!refuseHead(req, res)) handler(req, res);
  }, metrics.connectionClosed);

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    if (draining) res.shouldKeepAlive = false;
    turns.handler(req, res);
  }

  function isBusy(socket: Socket): boolean {
    const res = turns.latest(socket);
    return res !== undefined && !res.writableFinished && !res.destroyed;
  }

  const server = createNodeServer(tls, onRequest);
  const sockets = tls === undefined ? undefined : trackSecureSockets(server, metrics.connectionClosed, logger);
  /** The socket on which the requests of an accepted connection are read. */
  const inside = (socket: Socket): Socket => sockets?.inside(socket) ?? socket;
  const connections = createConnectionLimit({
    max: maxConnections,
    isBusy: (socket) => isBusy(inside(socket)),
    onClose: metrics.connectionClosed,
    logger,
  });
  const busy = (): Socket[] => connections.busy().map(inside);

  server.on('connection', connections.add);
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    socket.once('end', () => watchHalfClosed(socket, () => turns.latest(socket)));
  });
  server.on('clientError', createBadRequestListener({ latest: turns.latest, logger, metrics }));
  // RFC 9110, 10.1.1: an unknown expectation may be ignored. Node's own response to it has no body.
  server.on('checkExpectation', onRequest);
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    // The limit is for buffered bodies: an NDJSON stream may have any length.
    const stream = /ndjson|jsonl/i.test(req.headers['content-type'] ?? '');
    if (stream || Number(req.headers['content-length'] ?? 0) <= maxBodyBytes) res.writeContinue();
    onRequest(req, res);
  });

  return {
    server,
    inFlight: () => busy().length,
    drain(timeoutMs) {
      draining = true;
      for (const socket of busy()) turns.latest(socket)!.shouldKeepAlive = false;
      return drain({ server, busy, timeoutMs, onClose: metrics.connectionClosed });
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
    setCertificate: (context) => (server as HttpsServer).setSecureContext(context),
  };
}

/** A server of Node with the limits that Node has: on the time and size of heads, on idle connections, and on TLS handshakes. */
function createNodeServer(tls: SecureContextOptions | undefined, onRequest: RequestHandler): Server {
  const options = {
    IncomingMessage: DirectMessage,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // A long upload is bounded by the idle timer of its route.
    requestTimeout: 0,
    requireHostHeader: false,
    connectionsCheckingInterval: 1000,
  };
  const server =
    tls === undefined
      ? createServer(options, onRequest)
      : process.getBuiltinModule('node:https').createServer(
          {
            ...options,
            ...tls,
            handshakeTimeout: HEADERS_TIMEOUT_MS,
            requestCert: tls.ca !== undefined,
            rejectUnauthorized: true,
          },
          onRequest,
        );
  // Node would end the connection of a client that has ended its side, before its response. It has no public option for this.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  return server as Server;
}
