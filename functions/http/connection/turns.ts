import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';
import type { RequestHandler } from '../router.ts';

type Pending = readonly [req: IncomingMessage, res: ServerResponse];

interface Connection {
  /** The response of the request that was started last. */
  current: ServerResponse;
  /** Requests that wait for it; undefined until the first has to wait. */
  pending: Pending[] | undefined;
}

interface Turns {
  /** To be called for every request; calls the given handler when it is the request's turn. */
  readonly handler: RequestHandler;
  /** The response of the latest request of a connection, which HTTP/1.1 finishes last; undefined before the first request. */
  latest(socket: Socket): ServerResponse | undefined;
}

/**
 * Requests of all connections that may wait for their turn. Each takes some 2 KiB, as Node creates its objects before its turn:
 * 32 MiB in all.
 */
const MAX_WAITING = 16_384;

/**
 * Calls a handler for one request of a connection at a time: of requests that a client sends without waiting for their
 * responses (RFC 9112, 9.3.2), the next is started when the response before it has been sent. Until then nothing more is
 * read from the connection, and when its client leaves, the requests that wait are not started. Node itself starts all requests
 * in the piece of 64 KiB that it has read, up to 3,600.
 * @param onClose called with `too_many_pipelined` before a connection is closed because `maxWaiting` requests wait already. Its
 * client has to send again the requests without a response (RFC 9112, 9.3.2).
 */
export function createTurns(
  handler: RequestHandler,
  onClose: (reason: CloseReason) => void,
  maxWaiting = MAX_WAITING,
): Turns {
  const connections = new WeakMap<Socket, Connection>();
  let waiting = 0;

  function begin(connection: Connection, req: IncomingMessage, res: ServerResponse): void {
    connection.current = res;
    handler(req, res);
  }

  function wait(connection: Connection, pending: Pending): void {
    const { socket } = pending[0];
    if (socket.destroyed) return;
    if (waiting === maxWaiting) {
      onClose('too_many_pipelined');
      stopParsing(socket);
      socket.destroy();
      return;
    }
    waiting++;
    if (connection.pending === undefined) {
      connection.pending = [];
      // The stream of a body, and Node at the end of each request, resume the socket.
      socket.on('resume', () => {
        if (connection.pending!.length > 0) socket.pause();
      });
    }
    if (connection.pending.push(pending) > 1) return;
    socket.pause();
    follow(connection, socket);
  }

  /** Other connections get their turn between two requests of this one. */
  function follow(connection: Connection, socket: Socket): void {
    connection.current.once('close', () => setImmediate(advance, connection, socket));
  }

  function advance(connection: Connection, socket: Socket): void {
    const pending = connection.pending!;
    if (!socket.writable) {
      waiting -= pending.length;
      pending.length = 0;
      return;
    }
    waiting--;
    begin(connection, ...pending.shift()!);
    if (pending.length === 0) socket.resume();
    else follow(connection, socket);
  }

  return {
    handler(req, res) {
      const connection = connections.get(req.socket);
      if (connection === undefined) {
        connections.set(req.socket, { current: res, pending: undefined });
        handler(req, res);
      } else if (connection.current.writableFinished && !connection.pending?.length) begin(connection, req, res);
      else wait(connection, [req, res]);
    },
    latest(socket) {
      const connection = connections.get(socket);
      return connection?.pending?.at(-1)?.[1] ?? connection?.current;
    },
  };
}

/**
 * Ends the parsing of the current piece. Otherwise Node would create the objects of all requests in it, although the connection
 * is destroyed, and keep them until it has parsed the pieces of all other connections that have sent something.
 */
function stopParsing(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming: () => number } | null };
  // The value that Node's own function returns for a request that switches to another protocol (`CONNECT`, `Upgrade`).
  if (parser) parser.onIncoming = () => 2;
}
