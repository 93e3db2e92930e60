import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';
import { createLogInterval } from './log-interval.ts';

interface SecureSockets {
  /** The TLS socket in an accepted connection; undefined until its handshake is complete. */
  inside(socket: Socket): TLSSocket | undefined;
}

/**
 * Observes the handshakes of a server with TLS. A connection whose handshake fails is closed, counted and logged,
 * except if its client has left.
 * @param onClose called with `tls_handshake`.
 */
export function trackSecureSockets(
  server: Server,
  onClose: (reason: CloseReason) => void,
  logger: Pick<Logger, 'warning'>,
): SecureSockets {
  const countDue = createLogInterval();
  /** The connections whose handshake is not complete. Node does not say to which of them a TLS socket belongs. */
  const handshaking = new Map<string, Socket>();
  const secured = new WeakMap<Socket, TLSSocket>();

  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    handshaking.set(peer, socket);
    socket.once('close', () => {
      if (handshaking.get(peer) === socket) handshaking.delete(peer);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const peer = peerOf(socket);
    const outside = handshaking.get(peer);
    if (outside !== undefined) secured.set(outside, socket);
    handshaking.delete(peer);
    // From now on, as without TLS: a client may end its side before its response. Within the handshake it has left then.
    socket.allowHalfOpen = true;
  });
  server.on('tlsClientError', ({ code }: NodeJS.ErrnoException, socket: TLSSocket) => {
    socket.destroy();
    // For a client certificate that is refused, Node's error says no more than that the connection was closed.
    const reason = String(socket.authorizationError ?? code);
    // The client has left: load balancers check ports in this way.
    if (reason === 'ECONNRESET') return;
    onClose('tls_handshake');
    const count = countDue();
    if (count !== undefined) logger.warning('TLS handshakes have failed', { reason, count });
  });
  return { inside: (socket) => secured.get(socket) };
}

const peerOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`;
