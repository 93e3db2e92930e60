import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHandler } from '../router.ts';

type Pending = readonly [req: IncomingMessage, res: ServerResponse];

interface Connection {
  /** The response of the request in hand. */
  current: ServerResponse;
  /** Requests behind it; made for the first that has to wait. */
  pending: Pending[] | undefined;
}

/**
 * The handler, called for one request of a connection at a time: of requests that a client sends without waiting for their
 * responses (RFC 9112, 9.3.2), the next is begun when the response before it has been sent. Until then nothing more is read
 * from the connection, and where the client leaves, what it had sent is not begun at all. Node itself begins all that it finds
 * in one piece of 64 KiB, some 1,600 requests.
 */
export function inTurn(handler: RequestHandler): RequestHandler {
  const connections = new WeakMap<Socket, Connection>();

  function begin(connection: Connection, req: IncomingMessage, res: ServerResponse): void {
    connection.current = res;
    handler(req, res);
  }

  function wait(connection: Connection, pending: Pending): void {
    const { socket } = pending[0];
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
      pending.length = 0;
      return;
    }
    begin(connection, ...pending.shift()!);
    if (pending.length === 0) socket.resume();
    else follow(connection, socket);
  }

  return (req, res) => {
    const connection = connections.get(req.socket);
    if (connection === undefined) {
      connections.set(req.socket, { current: res, pending: undefined });
      handler(req, res);
    } else if (connection.current.writableFinished && !connection.pending?.length) begin(connection, req, res);
    else wait(connection, [req, res]);
  };
}
