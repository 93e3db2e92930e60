import net from 'node:net';
import { createResponseParser } from './response-parser.ts';

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

const READ_BYTES = 64 * 1024;

/** A raw keep-alive HTTP/1.1 connection to loopback that reads into one buffer, which is reused. */
export function connect(port: number, events: ConnectionEvents): Connection {
  const parser = createResponseParser(events);
  let failure: Error | undefined;
  const socket = net.connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback(count, buffer) {
        try {
          parser.push(buffer as Buffer, 0, count);
        } catch (error) {
          socket.destroy(error as Error);
        }
        return true;
      },
    },
  });
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => events.onClose(failure, parser.partial()));
  if (events.onOpen !== undefined) socket.on('connect', events.onOpen);
  return {
    send: (bytes) => socket.write(bytes),
    onDrain: (listener) => socket.on('drain', listener),
    destroy: () => socket.destroy(),
  };
}
