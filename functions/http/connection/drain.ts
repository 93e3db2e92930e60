import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';

interface DrainOptions {
  readonly server: Server;
  /** The connections that have a request in flight. */
  readonly busy: () => readonly Socket[];
  readonly timeoutMs: number;
  /** Called with `response_not_read` before a connection is closed. */
  readonly onClose: (reason: CloseReason) => void;
}

/**
 * How long the kernel may accept nothing of a response, instead of `REQUEST_TIMEOUT_MS`. It accepts more when a third of its
 * buffer, 4 MiB by Linux's default, is free: in this time a client has to read about 1.3 MiB. Node ignores the first timeout if
 * the kernel has accepted something since the response was written: so a client that reads nothing is cut off after twice this
 * time.
 */
const UNREAD_MS = 1000;
/** How long a server without requests in flight still accepts those that were on the wire when the drain began. */
const LINGER_MS = 200;
const POLL_MS = 10;

/**
 * Waits until the requests in flight are finished. The connection of a client that reads nothing of its response is closed, that
 * of one that reads slowly is not.
 * @returns true once there has been no request in flight for a moment, false after `timeoutMs`.
 */
export async function drain({ server, busy, timeoutMs, onClose }: DrainOptions): Promise<boolean> {
  // With a listener, Node does not close the connection on a timeout itself.
  server.on('timeout', (socket: Socket) => {
    // Without bytes to write, the response is still being computed.
    if (socket.writableLength === 0 || socket.destroyed) return;
    onClose('response_not_read');
    socket.destroy();
  });
  const end = performance.now() + timeoutMs;
  let quietSince = performance.now();
  while (performance.now() < end) {
    const sockets = busy();
    // Node and the router set other timeouts, at the beginning of a request and at the end of its response.
    for (const socket of sockets) if (socket.timeout !== UNREAD_MS) socket.setTimeout(UNREAD_MS);
    if (sockets.length > 0) quietSince = performance.now();
    else if (performance.now() - quietSince >= LINGER_MS) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return busy().length === 0;
}
