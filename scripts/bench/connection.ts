import net from 'node:net';
import { createResponseParser } from './response-parser.ts';

export interface ConnectionEvents {
  onOpen?(): void;
  onBody?(bytes: Buffer, from: number, to: number): void;
  onResponse(status: number, close: boolean): void;
  /** The connection is gone. `partial`: in the middle of a response. */
  onClose(error: Error | undefined, partial: boolean): void;
}

export interface Connection {
  /** Writes one whole request; false where the kernel wants a pause (see `onDrain`). */
  send(bytes: Buffer): boolean;
  onDrain(listener: () => void): void;
  destroy(): void;
}

const READ_BYTES = 64 * 1024;

/** A raw keep-alive HTTP/1.1 connection to loopback that reads into one buffer it never replaces. */
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
