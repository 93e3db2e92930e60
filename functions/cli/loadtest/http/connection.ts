import net from 'node:net';
import tls from 'node:tls';
import { createResponseParser } from './response-parser.ts';

/** Where a connection goes. */
export interface Endpoint {
  readonly port: number;
  /** A name or an address, without the brackets of IPv6. Default: the IPv4 loopback. */
  readonly host?: string;
  /** Options of TLS; without them the connection is plain. The server's certificate is verified for `host`. */
  readonly tls?: Pick<tls.ConnectionOptions, 'ca'>;
}

interface ConnectionEvents {
  onOpen?(): void;
  onBody?(bytes: Buffer, from: number, to: number): void;
  onResponse(status: number, close: boolean, retryAfter: number): void;
  /** The connection is closed. `partial`: within a response. */
  onClose(error: Error | undefined, partial: boolean): void;
}

export interface Connection {
  /** Writes one complete request. @returns false if the kernel's buffer is full: see `onDrain`. */
  send(bytes: Buffer): boolean;
  onDrain(listener: () => void): void;
  destroy(): void;
}

/** Opens a connection; tests replace it. */
export type Connect = (endpoint: Endpoint, events: ConnectionEvents) => Connection;

const READ_BYTES = 64 * 1024;

/** A raw keep-alive HTTP/1.1 connection that reads into one buffer, which is reused. */
export const connect: Connect = (endpoint, events) => {
  const parser = createResponseParser(events);
  let failure: Error | undefined;
  const { socket, ready } = open(endpoint, (bytes, count) => {
    try {
      parser.push(bytes, 0, count);
    } catch (error) {
      socket.destroy(error as Error);
    }
  });
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => events.onClose(failure, parser.partial()));
  if (events.onOpen !== undefined) socket.on(ready, events.onOpen);
  return {
    send: (bytes) => socket.write(bytes),
    onDrain: (listener) => socket.on('drain', listener),
    destroy: () => socket.destroy(),
  };
};

function open(
  { port, host = '127.0.0.1', tls: secure }: Endpoint,
  read: (bytes: Buffer, count: number) => void,
): { socket: net.Socket; ready: 'connect' | 'secureConnect' } {
  const onread = {
    buffer: Buffer.allocUnsafe(READ_BYTES),
    callback(count: number, buffer: Uint8Array) {
      read(buffer as Buffer, count);
      return true;
    },
  };
  if (secure === undefined) return { socket: net.connect({ port, host, noDelay: true, onread }), ready: 'connect' };
  // An address has no name to send (RFC 6066, 3).
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  const socket = tls.connect({ port, host, ...name, ALPNProtocols: ['http/1.1'], ...secure });
  socket.setNoDelay(true);
  socket.on('data', (bytes: Buffer) => read(bytes, bytes.length));
  return { socket, ready: 'secureConnect' };
}
