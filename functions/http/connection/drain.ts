import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';

export interface DrainOptions {
  readonly server: Server;
  /** The connections that have a request in flight. */
  readonly busy: () => readonly Socket[];
  readonly timeoutMs: number;
  /** Called with `response_not_read` before a connection is closed. */
  readonly onClose: (reason: CloseReason) => void;
}

/**
 * How long the kernel may take nothing of a response, instead of `REQUEST_TIMEOUT_MS`. It takes more when its buffer, 4 MiB as
 * Linux is set up, is empty by a third: in this time a client has to read about 1.3 MiB. Node lets a first time pass in which
 * it has taken something since the response was written: so a client that reads nothing is cut off after twice this time.
 */
const UNREAD_MS = 1000;
/** How long a server without requests in flight still answers those that were on the wire when the drain began. */
const LINGER_MS = 200;
const POLL_MS = 10;

/**
 * Waits until the requests in flight are finished. The connection of a client that reads nothing of its response is closed; that
 * of one that reads slowly is not.
 * @returns true once there has been no request in flight for a moment, false after `timeoutMs`.
 */
export async function drain({ server, busy, timeoutMs, onClose }: DrainOptions): Promise<boolean> {
  // With a listener, Node leaves it to that to close a connection on which nothing has moved for its time.
  server.on('timeout', (socket: Socket) => {
    // Otherwise the response is still being made.
    if (socket.writableLength === 0 || socket.destroyed) return;
    onClose('response_not_read');
    socket.destroy();
  });
  const end = performance.now() + timeoutMs;
  let quietSince = performance.now();
  while (performance.now() < end) {
    const sockets = busy();
    // Node and the router set other times, at the beginning of a request and at the end of its response.
    for (const socket of sockets) if (socket.timeout !== UNREAD_MS) socket.setTimeout(UNREAD_MS);
    if (sockets.length > 0) quietSince = performance.now();
    else if (performance.now() - quietSince >= LINGER_MS) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return busy().length === 0;
}
